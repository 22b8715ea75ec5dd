"""The look of figures, from a YAML file."""

from __future__ import annotations

from pathlib import Path

from dynvision.config.section import validate
from dynvision.config.visualization import VisualizationConfig
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError

SECTION, OF_RESULTS = "visualization", "visualization.yaml"


def read_visualization(path: Path | None, results: Path | None = None) -> VisualizationConfig:
    """Read palette, names and order.

    Args:
        path: the file; None takes ``visualization.yaml`` of the results folder, which the workflow writes, and where there
            is none the defaults.
        results: the results folder.

    The keys may stand at the top of the file or below ``visualization:``, as in ``config_visualization.yaml``.

    Raises:
        InputError: the file is missing, is not YAML, or has a key that is not known.
    """
    if path is None and results is not None and (results / OF_RESULTS).is_file():
        path = results / OF_RESULTS
    if path is None:
        return VisualizationConfig()
    values = read_yaml(path)
    if set(values) == {SECTION}:
        values = values[SECTION] or {}
        if not isinstance(values, dict):
            raise InputError(f"visualization file {path}: {SECTION} must hold keys and values")
    try:
        return validate(VisualizationConfig, values, SECTION)
    except InputError as error:
        raise InputError(f"visualization file {path}: {error}") from None
