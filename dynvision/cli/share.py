"""``dynvision share``: push a trained run to the Hugging Face hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.cli.arguments import add_run_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Push a trained run to the Hugging Face hub: weights with their configuration, model card, and programs of its "
        "trial and of its step of dt ms. Others load it with dynvision.load('hub:USER/NAME'), or name hub:USER/NAME where "
        "a command takes a run to predict, serve or export. A folder of 'dynvision export' is pushed as it is. "
        "Log in with 'hf auth login', or set HF_TOKEN."
    )
    add_run_arguments(parser)
    parser.add_argument(
        "--to", required=True, metavar="USER/NAME", help="the repository; it is made where there is none"
    )
    parser.add_argument("--private", action="store_true", help="a new repository is seen by its owner alone")
    parser.add_argument("--license", default="", metavar="NAME", help="license of the weights, e.g. mit")


def run(arguments: argparse.Namespace) -> None:
    """Export what is no finished folder yet, and push it.

    Raises:
        InputError: the run cannot be loaded, or the hub refuses.
    """
    from dynvision.cli import export
    from dynvision.inference.finished_run import repository
    from dynvision.sharing import push
    from dynvision.sharing.folder import is_finished

    repository(arguments.to)  # before anything is computed
    folder = Path(arguments.run)
    if not is_finished(folder):
        predictor, weights = export.loaded(arguments.run, arguments.results)
        folder = export.exports(arguments.results, predictor)
        export.print_shared(export.export(predictor, weights, folder, arguments.results, arguments.license))
    print(f"{push(folder, arguments.to, arguments.private)}  dynvision.load('hub:{arguments.to}')")
