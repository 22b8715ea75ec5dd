"""The look of figures, and what they may show of cortex: from a YAML file, which ``--visualization`` names.

Commands that draw or write for readers take it: palette, names, order, and the mapping of layers to areas of cortex.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dynvision.config.measures import ScorecardConfig
from dynvision.config.section import Section, validate
from dynvision.config.visualization import VisualizationConfig
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError

if TYPE_CHECKING:
    from dynvision.visualization.style import Style

_S = TypeVar("_S", bound=Section)
SECTION, SCORECARD, OF_RESULTS = "visualization", "scorecard", "visualization.yaml"


def read_visualization(path: Path | None, results: Path | None = None) -> VisualizationConfig:
    """Read palette, names and order.

    Args:
        path: the file; without it, or where it has the key ``scorecard`` alone, the ``visualization.yaml`` of the results
            folder counts, which the workflow writes, and where there is none the defaults.
        results: the results folder.

    The keys may stand at the top of the file or below ``visualization:``, as in ``config_visualization.yaml``.

    Raises:
        InputError: the file is missing, is not YAML, or has a key that is not known.
    """
    for file in (path, _of_results(results)):
        if file is None:
            continue
        values = read_yaml(file)
        if SECTION in values:
            values = _section(file, values, SECTION)
        elif SCORECARD in values:
            _section(file, values, SCORECARD)
            continue
        return _validated(VisualizationConfig, values, file, SECTION)
    return VisualizationConfig()


def read_scorecard(path: Path | None, results: Path | None = None) -> ScorecardConfig:
    """Read which experiment is which protocol of cortex, and which layer stands beside which area.

    Args:
        path: a file with the key ``scorecard``; without it, or where it has no such key, the ``visualization.yaml`` of the
            results folder counts, which the workflow writes. Where there is none either, nothing stands beside cortex.
        results: the results folder.

    Raises:
        InputError: a file is missing, is not YAML, or has a key that is not known.
    """
    for file in (path, _of_results(results)):
        values = {} if file is None else read_yaml(file)
        if file is not None and SCORECARD in values:
            return _validated(ScorecardConfig, _section(file, values, SCORECARD), file, SCORECARD)
    return ScorecardConfig()


def _of_results(results: Path | None) -> Path | None:
    return results / OF_RESULTS if results is not None and (results / OF_RESULTS).is_file() else None


def _section(path: Path, values: dict[str, Any], section: str) -> dict[str, Any]:
    if others := set(values) - {SECTION, SCORECARD}:
        raise InputError(
            f"visualization file {path} has {min(others)} beside {section}; it may hold {SECTION} and {SCORECARD}"
        )
    inner = values[section] or {}
    if not isinstance(inner, dict):
        raise InputError(f"visualization file {path}: {section} must hold keys and values")
    return inner


def _validated(schema: type[_S], values: dict[str, Any], path: Path, section: str) -> _S:
    try:
        return validate(schema, values, section)
    except InputError as error:
        raise InputError(f"visualization file {path}: {error}") from None


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
