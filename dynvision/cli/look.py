"""The argument of commands that draw or write for readers: palette, names and order."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynvision.config.visualization import VisualizationConfig
    from dynvision.visualization.style import Style


def add_look_argument(parser: argparse.ArgumentParser) -> None:
    """``--visualization``, for a command that has ``--results`` as well."""
    parser.add_argument(
        "--visualization",
        type=Path,
        metavar="YAML",
        help="palette, names, order and figures; as in the workflow of the results folder if absent",
    )


def look_from(arguments: argparse.Namespace) -> VisualizationConfig:
    """What it says, or what the workflow has left in the results folder.

    Raises:
        InputError: the file cannot be used.
    """
    from dynvision.visualization.config_file import read_visualization

    return read_visualization(arguments.visualization, arguments.results)


def style_from(arguments: argparse.Namespace) -> Style:
    """The look with what may stand beside cortex.

    Raises:
        InputError: the file cannot be used.
    """
    from dynvision.visualization.config_file import read_scorecard
    from dynvision.visualization.style import Style

    return Style(look_from(arguments), read_scorecard(arguments.visualization, arguments.results))
