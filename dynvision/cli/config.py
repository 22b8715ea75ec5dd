"""``dynvision config``: show, freeze and check configurations."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from dynvision.cli.arguments import add_config_dir_argument, add_values_argument, read_json
from dynvision.errors import InputError


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Durations, delays and time constants are in ms, resolutions in px; config/README.md has every key with its "
        "unit and default."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    show = actions.add_parser(
        "show",
        help="print the resolved workflow configuration as YAML, with the origin of every value, and check its runs",
    )
    add_values_argument(show, "mode=debug seed=2")
    add_config_dir_argument(show)
    frozen = {
        "run": "a run",
        "data": "a data folder",
        "experiment": "an experiment",
        "visualization": "the look of figures",
    }
    for kind, content in frozen.items():
        freeze = actions.add_parser(f"freeze-{kind}", help=f"write the resolved configuration of {content}")
        freeze.add_argument("values", help="the configuration as JSON")
        freeze.add_argument("--output", type=Path, required=True, help="YAML file to write")
    sync = actions.add_parser("sync", help="write the generated files in config/ from the schemas")
    add_config_dir_argument(sync)
    sync.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")


def run_config(arguments: argparse.Namespace) -> None:
    """Do what the action names."""
    if arguments.action == "show":
        from dynvision.config.generated import show_configuration
        from dynvision.config.layers import read_layers
        from dynvision.config.yaml_text import given_values
        from dynvision.parameter_names import ChangedMeaning
        from dynvision.runs import plan_workflow

        given = given_values(arguments.values)
        print(show_configuration(read_layers(arguments.config_dir, given)), end="")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChangedMeaning)  # warned of once, when the layers were read
            plan_workflow(arguments.config_dir, given)  # refuses what Snakemake would
    elif arguments.action == "sync":
        from dynvision.config.generated import check_generated, write_generated

        if arguments.check:
            check_generated(arguments.config_dir)
        else:
            write_generated(arguments.config_dir)
    else:
        _freeze(arguments.action.removeprefix("freeze-"), arguments.values, arguments.output)


def _freeze(kind: str, text: str, output: Path) -> None:
    from dynvision.config.data import ImagesConfig
    from dynvision.config.experiment import frozen_experiment, thaw_experiment
    from dynvision.config.identity import VERSION
    from dynvision.config.measures import ScorecardConfig
    from dynvision.config.run import run_of, thaw
    from dynvision.config.section import Section, validate
    from dynvision.config.visualization import VisualizationConfig
    from dynvision.config.yaml_text import to_yaml
    from dynvision.files import write_text

    values = read_json(text, "the configuration")
    if not isinstance(values, dict):
        raise InputError(f"the configuration must be a JSON object with keys and values, not {text}")
    if kind == "run":
        frozen = to_yaml(thaw(values) if VERSION in values else run_of(values))
    elif kind == "data":
        frozen = to_yaml({"data": validate(ImagesConfig, values, "data")})
    elif kind == "visualization":
        sections: dict[str, type[Section]] = {
            "visualization": VisualizationConfig,
            "scorecard": ScorecardConfig,
        }
        given = values if set(values) & set(sections) else {"visualization": values}
        frozen = to_yaml({name: validate(sections[name], given[name], name) for name in given})
    else:
        name = values.pop("name", None)
        if not isinstance(name, str):
            raise InputError("the configuration of an experiment needs a key name")
        frozen = to_yaml(frozen_experiment(name, thaw_experiment(name, values)))
    write_text(output, frozen)
