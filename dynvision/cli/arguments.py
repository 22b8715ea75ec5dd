"""The arguments that commands share, the files that they name, and the texts that several read in one way.

They state which run a command is about, and where and how it computes, never what; and how figures look: palette, names,
order, and the mapping of layers to areas of cortex, from the YAML file that ``--visualization`` names.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dynvision.config.measures import ScorecardConfig
from dynvision.config.section import Section, validate
from dynvision.config.training import ExecutionConfig
from dynvision.config.visualization import VisualizationConfig
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError, unknown_name
from dynvision.resources import config_folder
from dynvision.trained import WEIGHTS, shipped_runs

if TYPE_CHECKING:
    from dynvision.visualization.style import Style


OF_EXPERIMENTS = ("loader", "num_workers", "accelerator", "pack", "checkpoint_every", "test_batch_size")
OF_DYNAMICS = ("loader", "accelerator")
OF_TRAINING = tuple(name for name in ExecutionConfig.model_fields if name != "test_batch_size")


def add_execution_arguments(parser: argparse.ArgumentParser, used: Sequence[str]) -> None:
    """Add one option for each key of the section ``execution``.

    Args:
        parser: of the command.
        used: the keys that the command uses. The others are accepted, since the workflow gives all, and not listed.
    """
    for name, field in ExecutionConfig.model_fields.items():
        about = f"{field.description} (default: %(default)s)" if name in used else argparse.SUPPRESS
        parser.add_argument(f"--{name.replace('_', '-')}", default=field.default, help=about)


def add_results_argument(parser: argparse.ArgumentParser) -> None:
    """``--results``, the folder below which everything lies."""
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (default: %(default)s)"
    )


def add_config_dir_argument(parser: argparse.ArgumentParser, about: str = "") -> None:
    """Add ``--config-dir``, and after a colon what the command takes from there."""
    parser.add_argument(
        "--config-dir",
        type=Path,
        default=config_folder(),
        metavar="DIR",
        help=f"folder of the YAML files{f': {about}' if about else ''} (default: %(default)s)",
    )


def add_values_argument(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the keys and values that stand above those of the YAML files, without an option before them."""
    parser.add_argument(
        "values",
        nargs="*",
        metavar="key=value",
        help=f"as for snakemake --config, e.g. {example}",
    )


def add_frozen_run_arguments(
    parser: argparse.ArgumentParser, weights: bool = False, data: bool = False
) -> None:
    """Add the files of a run that the workflow hands on: ``--config``, and the weights and the data where they are read."""
    parser.add_argument("--config", type=Path, required=True, help="the run's frozen configuration (YAML)")
    if weights:
        parser.add_argument("--weights", type=Path, required=True, help="the run's model.safetensors")
    if data:
        parser.add_argument("--data", type=Path, required=True, help="folder that 'dynvision convert' wrote")


def add_study_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--study``."""
    parser.add_argument(
        "--study",
        default="",
        metavar="NAME",
        help="the study whose figures and report these are, if it has a name",
    )


def read_json(text: str, what: str) -> Any:
    """Return the value of a text of JSON.

    Args:
        text: as it is given.
        what: where it stands, for errors.

    Raises:
        InputError: it is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{what} is not valid JSON: {error}") from None


def add_if_needed_argument(parser: argparse.ArgumentParser) -> None:
    """``--if-needed``, which the workflow gives: a job that it plans to be sure may have nothing to do."""
    parser.add_argument(
        "--if-needed",
        action="store_true",
        help="do nothing where the results are there and were made from the same inputs",
    )


def execution_from(arguments: argparse.Namespace) -> ExecutionConfig:
    """The validated section.

    Raises:
        InputError: a value is not allowed.
    """
    return validate(
        ExecutionConfig, {name: getattr(arguments, name) for name in ExecutionConfig.model_fields}, ""
    )


def add_run_arguments(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Add the runs, as `dynvision.inference.finished_run` finds them, and where results lie.

    Args:
        parser: of the command.
        several: whether it takes several runs.
    """
    about = (
        "a trained run: its id, as 'dynvision runs' lists it, of which the beginning is enough if no other begins so; its "
        f"folder; its {WEIGHTS}; hub:OWNER/NAME; or a network that ships trained: {', '.join(shipped_runs())}"
    )
    parser.add_argument("run", metavar="RUN", nargs="+" if several else None, help=about)
    add_results_argument(parser)


def add_answering_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run that answers, ``--data`` and ``--device``."""
    add_run_arguments(parser)
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of the run's data; only weights that do not state how images are shown need it",
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu or cuda; auto is a GPU if there is one (default: %(default)s)",
    )


_S = TypeVar("_S", bound=Section)
SECTIONS = LOOK, SCORECARD = "visualization", "scorecard"
OF_RESULTS = "visualization.yaml"


def read_visualization(path: Path | None, results: Path | None = None) -> VisualizationConfig:
    """Read palette, names and order.

    Args:
        path: the file, which has them below ``visualization:`` as ``config_visualization.yaml`` has, or at its top. Without
            one, or where it has the key ``scorecard`` alone, the ``visualization.yaml`` of the results folder counts, which
            the workflow writes, and where there is none the defaults.
        results: the results folder.

    Raises:
        InputError: the file is missing, is not YAML, or has a key that is not known.
    """
    return _read_section(VisualizationConfig, LOOK, path, results)


def read_scorecard(path: Path | None, results: Path | None = None) -> ScorecardConfig:
    """Read which experiment is which protocol of cortex, and which layer stands beside which area.

    Arguments and errors are those of :func:`read_visualization`; the key is ``scorecard``. Where it is in neither file,
    nothing stands beside cortex.
    """
    return _read_section(ScorecardConfig, SCORECARD, path, results)


def _read_section(schema: type[_S], section: str, path: Path | None, results: Path | None) -> _S:
    of_results = None if results is None else results / OF_RESULTS
    for file in (path, of_results if of_results is not None and of_results.is_file() else None):
        if file is None:
            continue
        values = read_yaml(file)
        if not set(SECTIONS) & set(values):
            values = {LOOK: values}
        try:
            if others := set(values) - set(SECTIONS):
                raise unknown_name("section", min(others), SECTIONS)
            if section in values:
                return validate(schema, values[section] or {}, section)
        except InputError as error:
            raise InputError(f"visualization file {file}: {error}") from None
    return schema()


def add_look_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--visualization`` to a command that has ``--results`` as well."""
    parser.add_argument(
        "--visualization",
        type=Path,
        metavar="YAML",
        help="palette, names, order and figures; as in the workflow of the results folder if absent",
    )


def look_from(arguments: argparse.Namespace) -> VisualizationConfig:
    """Return what the file holds, or what the workflow has left in the results folder.

    Raises:
        InputError: the file cannot be used.
    """
    return read_visualization(arguments.visualization, arguments.results)


def style_from(arguments: argparse.Namespace) -> Style:
    """Return the look with what may stand beside cortex.

    Raises:
        InputError: the file cannot be used.
    """
    from dynvision.visualization.style import Style

    return Style(look_from(arguments), read_scorecard(arguments.visualization, arguments.results))
