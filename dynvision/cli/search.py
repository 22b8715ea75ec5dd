"""``dynvision search``: search for parameters, each trial an ordinary run."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.cli.arguments import add_values_argument


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Search for the parameters in the section 'search' of the configuration, each trial an ordinary run that Snakemake "
        "trains. The same command continues a search that was stopped; several calls at once share one."
    )
    parser.epilog = (
        "Durations and time constants are in ms. Arguments after -- are for Snakemake, e.g. -- --cores 4, or "
        "-- --workflow-profile cluster/profiles/slurm. The search is named after the study; its trials, the best of them "
        "as a configuration file and the output of Snakemake are in searches/NAME of the results."
    )
    add_values_argument(parser, "study=rates seed=2")
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="YAML files on top of those of config/",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="check the settings, print what would be searched, and run nothing",
    )


def run_search(arguments: argparse.Namespace) -> None:
    """Search.

    Raises:
        InputError: the settings are not possible, or all trials fail.
    """
    from dynvision.config.yaml_text import given_values, one_line
    from dynvision.resources import config_folder
    from dynvision.search import Search

    # argparse may have removed the -- itself.
    given = arguments.values
    split = next((number for number, text in enumerate(given) if text.startswith("-")), len(given))
    texts, options = given[:split], [text for text in given[split:] if text != "--"]
    search = Search(config_folder(), given_values(texts), texts, arguments.configfile, options)
    settings = search.settings
    search.check()
    print(f"{search.folder}: {settings.trials} trials, {settings.better} {settings.objective}")
    for name, space in settings.parameters.items():
        print(
            f"    {name}: {one_line(space.differences() if hasattr(space, 'differences') else list(space))}"
        )
    if arguments.check:
        return
    best = search.run()
    print(f"best: trial {best.number}, {settings.objective}={best.value:.6g}; {search.folder / 'best.yaml'}")
