"""Pages whose blocks are a program do what they say, from a folder outside of the package."""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path

import pytest

import dynvision.models.dyrcnn  # noqa: F401  once, before the forks
from dynvision.analysis import MEASURES
from dynvision.config import DyRCNNArgs, ExperimentConfig, TrainingConfig
from dynvision.experiments.tables import PERFORMANCE, RESPONSES
from dynvision.stimuli import STIMULI
from tests.docs.page_script import FENCE, ROOT, run_page

DOCS = ROOT / "docs"
RUN = [
    DOCS / "custom-models.md",
    *sorted((DOCS / "examples").glob("*.md")),
    DOCS / "differences.md",
    *(page for page in sorted((DOCS / "add").glob("*.md")) if page.stem != "index"),
]


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_runs(page: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")  # as in a clone
    done = run_page(page, tmp_path)
    assert done.status == 0, done.said[-4000:]


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_fence_of_a_page_is_read(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"^```\w", text, re.MULTILINE)) == len(FENCE.findall(text)) > 0


def test_new_names_exist() -> None:
    """In the table of names, what stands on the right is there."""
    rows = re.findall(
        r"^\| .* \| (.*) \|$", (DOCS / "differences.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    words = {word for row in rows for word in re.findall(r"`([^`]+)`", row)}
    for name in (word for word in words if re.fullmatch(r"dynvision[\w.]+", word)):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
    for key in words & {
        "input_adaptation",
        "recurrence_merge",
        "recurrence_type",
        "retina",
        "t_idle",
        "feedback",
    }:
        assert key in DyRCNNArgs.model_fields
    assert {"guess", "label", "confidence", "label_confidence", "correct", "label_rank"} <= {
        *PERFORMANCE.names
    } & words
    assert {"mean", "sd", "layer"} <= {*RESPONSES.names} & words
    assert {"pulse", "pair", "train"} <= {*STIMULI} & words
    assert {"time_to_peak_ms", "peak"} <= {*MEASURES} & words
    assert {"duration_ms", "gap_ms"} <= {*STIMULI["pair"].model_fields} & words
    assert {"baseline_ms"} <= {*ExperimentConfig.model_fields} & words
    assert {"trainable", "init_with_pretrained"} <= {*TrainingConfig.model_fields}
