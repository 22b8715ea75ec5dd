"""Pages whose blocks are a program do what they say, from a folder outside of the package."""

from __future__ import annotations

import argparse
import importlib
import re
import shutil
from pathlib import Path
from typing import get_args

import pytest

import dynvision.models.dyrcnn  # noqa: F401  once, before the forks
from dynvision import model_components
from dynvision.analysis import MEASURES
from dynvision.analysis.registry import SHARED, TABLES
from dynvision.cli import find_command
from dynvision.config import DyRCNNArgs, ExperimentConfig, TrainingConfig
from dynvision.config.model import RECURRENCE_TYPES
from dynvision.experiments.tables import PERFORMANCE, RESPONSES
from dynvision.noise.blend import NoiseConfig
from dynvision.stimuli import STIMULI
from tests.docs.page_script import FENCE, ROOT, run_page

DOCS = ROOT / "docs"
RUN = [
    DOCS / "custom-models.md",
    *sorted((DOCS / "examples").glob("*.md")),
    DOCS / "differences.md",
    DOCS / "one-neuron.md",
    *(page for page in sorted((DOCS / "add").glob("*.md")) if page.stem != "index"),
]


AS_NOTEBOOKS = ("first-figure", "own-model", "cortical")  # tests/docs/test_notebooks.py executes them


@pytest.mark.parametrize(
    "page",
    [page for page in RUN if page.stem not in AS_NOTEBOOKS],
    ids=lambda page: str(page.relative_to(DOCS)),
)
def test_a_page_runs(page: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")  # as in a clone
    done = run_page(page, tmp_path)
    assert done.status == 0, done.said[-4000:]


def test_every_fence_of_a_page_is_read() -> None:
    for page in RUN:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^```\w", text, re.MULTILINE)) == len(FENCE.findall(text)) > 0, page


def test_the_page_on_measures_has_every_argument() -> None:
    text = (DOCS / "add" / "measure.md").read_text(encoding="utf-8").split("```")[0]
    named = {
        name
        for line in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", line)
    }
    assert named == {*TABLES, *SHARED}


TABLE = re.findall(
    r"^\| (.*) \| (.*) \|$", (DOCS / "differences.md").read_text(encoding="utf-8"), re.MULTILINE
)[2:]
NEW_NAMES = sorted({word for _, new in TABLE for word in re.findall(r"`([^`]+)`", new)})
SECTIONS = {"training": TrainingConfig, "noise": NoiseConfig}
KNOWN = {
    *DyRCNNArgs.model_fields,
    *ExperimentConfig.model_fields,
    *NoiseConfig.model_fields,
    *STIMULI,
    *(key for stimulus in STIMULI.values() for key in stimulus.model_fields),
    *MEASURES,
    *PERFORMANCE.names,
    *RESPONSES.names,
    *get_args(DyRCNNArgs.model_fields["feedback"].annotation),
    *RECURRENCE_TYPES,
    *re.findall(
        r"\w+\.parquet", (ROOT / "workflow" / "rules" / "experiments.smk").read_text(encoding="utf-8")
    ),
    *model_components.__all__,
}


def exists(name: str) -> bool:
    """Whether a name of the table is one of the package, the command line, the configuration, the tables or the files."""
    first, _, rest = name.partition(" ")
    if rest:
        command, *action = rest.split()
        parser = argparse.ArgumentParser()
        find_command(command).add_arguments(parser)
        actions = [part for part in parser._actions if isinstance(part, argparse._SubParsersAction)]
        return first == "dynvision" and all(action[0] in part.choices for part in actions if action)
    if "/" in name:
        return (ROOT / name).is_file()
    module, _, attribute = name.rpartition(".")
    if module in SECTIONS:
        return attribute in SECTIONS[module].model_fields
    if module.startswith("dynvision"):
        return hasattr(importlib.import_module(module), attribute)
    return name in KNOWN or name.isdigit()  # an epoch


def test_new_names_exist() -> None:
    """In the table of names, what stands on the right is there."""
    assert [name for name in NEW_NAMES if not exists(name)] == []


def test_what_does_not_exist_is_noticed() -> None:
    assert len(NEW_NAMES) > 40 and len(TABLE) > 20
    for name in (
        "t_idel",
        "noise.refresh",
        "dynvision weights impor",
        "cluster/x.sh",
        "dynvision.config.Nothing",
    ):
        assert not exists(name)
