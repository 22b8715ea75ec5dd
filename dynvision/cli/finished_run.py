"""The run that a command is about: an argument of most commands."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.trained import shipped_runs


def add_run_arguments(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """The runs and where results lie."""
    about = (
        "id of a trained run, as 'dynvision runs' lists it; its beginning is enough if no other begins so; "
        f"or a network that ships trained: {', '.join(shipped_runs())}"
    )
    parser.add_argument("run", metavar="RUN", nargs="+" if several else None, help=about)
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (default: results)"
    )
