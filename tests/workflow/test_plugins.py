"""The main job with one of each kind of definition from a file of the user's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.conftest import Workflow

STUDY = Path(__file__).parents[1] / "config" / "my_study.txt"
ASKED = {
    "plugins": "[my_study]",
    "model_name": "StudyNet",
    "model_args": "{dynamics_solver: half_euler, n_timesteps: 4, trc: 2, rctype: self}",
    "training": "{epochs: 1, batch_size: 8, loss: {CrossEntropyLoss: 1, SparseLoss: {weight: 0.1, floor: 0.5}}}",
    "experiment": "mine",
    "experiments": (
        "{mine: {stimulus: {type: twice, half_ms: 4}, noise: {type: stripes, ssnr: 0.8}, parameter: half_ms, "
        "values: [2, 4], recorded_ms: 20, measures: [dip, peak]}}"
    ),
    "visualization": "{figures: {mine: [dips, measures]}}",
}


@pytest.mark.slow
def test_from_a_plugin_to_the_report(workflow: Workflow) -> None:
    shutil.copy(STUDY, workflow.root / "my_study.py")
    outcome = workflow.snakemake(**ASKED)
    assert outcome.status == 0, outcome.said
    (run_id,) = workflow.runs
    assert run_id.startswith("StudyNet_")
    frozen = (workflow.results / "runs" / run_id / "config.yaml").read_text()
    assert "half_euler" in frozen and "SparseLoss" in frozen and "my_study" in frozen
    metrics = pd.read_parquet(workflow.results / "experiments" / "mine" / run_id / "metrics.parquet")
    dips = metrics.loc[metrics["measure"] == "dip", "mean"]
    assert len(dips) and dips.between(0, 1).all()
    assert (workflow.results / "figures" / "mine" / "dips.svg").exists()
    report = (workflow.results / "report.html").read_text()
    assert "depth of the dip" in report.lower() and "drawn by a plugin" in report.lower()
    assert workflow.snakemake("-n", **ASKED).said.count("Nothing to be done") == 1
    # Another figure draws again and trains nothing; another solver is another run.
    source = workflow.root / "my_study.py"
    source.write_text(source.read_text().replace("super().gain() / 2", "super().gain() / 3"))
    assert workflow.planned(**ASKED)["train"] == 1
