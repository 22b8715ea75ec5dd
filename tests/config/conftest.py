"""Where the shipped configuration lies."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def config_dir() -> str:
    """The folder of the shipped YAML files."""
    return str(Path(__file__).parents[2] / "config")
