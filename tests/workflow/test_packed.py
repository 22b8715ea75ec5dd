"""Trainings of a workflow that share a GPU, which is pretended."""

from __future__ import annotations

import pytest

from tests.pretended_gpus import pretend_gpus
from tests.workflow.conftest import Workflow

WAITING = "waiting for a free GPU (1 are in use)"


@pytest.mark.slow
@pytest.mark.parametrize("pack", [1, 2])
def test_two_trainings_on_one_gpu(workflow: Workflow, pack: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the same time with ``pack: 2``, one after the other without."""
    pretend_gpus(1, workflow.root, monkeypatch)
    outcome = workflow.snakemake(
        "--cores", 2, "--until", "train", execution=f"{{loader: torch, pack: {pack}}}"
    )
    assert outcome.status == 0, outcome.said
    logs = [path.read_text() for path in (workflow.results / "logs" / "train").glob("*.log")]
    assert len(logs) == 2
    assert sum(WAITING in log for log in logs) == 2 - pack
