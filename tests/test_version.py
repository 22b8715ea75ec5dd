"""There is one version, and it is told apart from the package of the same name on the package index."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

import dynvision
from dynvision.cli import main

ROOT = Path(__file__).parent.parent


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"dynvision {dynvision.__version__}\n"


def test_it_is_written_once_and_cited() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"] and "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "dynvision.__version__"}
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == dynvision.__version__


def test_it_is_none_of_the_other_package() -> None:
    """The index has 0.1.0 of other authors; ours begin at 1.0.0."""
    assert int(dynvision.__version__.partition(".")[0]) >= 1
    assert "environment of its own" in (ROOT / "README.md").read_text().replace("\n", " ")
