"""``snakemake scorecard dynamics`` from nothing, on a network and protocols as small as they can be."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from dynvision.config.measures import PROTOCOLS
from tests.workflow.conftest import Workflow, workflow  # noqa: F401  (a fixture)

EXPERIMENTS = """
  short_contrast: {stimulus: {duration_ms: 20}, values: [0.25, 1.0], baseline_ms: 4, recorded_ms: 40}
  short_interval: {stimulus: {type: pair, duration_ms: 8}, parameter: gap_ms, values: [0, 8, 60], recorded_ms: 60}
"""
SHOWN = {"contrast": "short_contrast", "interval": "short_interval", "duration": "duration"}
SETTINGS = {
    "scorecard": json.dumps({"experiments": {**dict.fromkeys(PROTOCOLS), **SHOWN}}),
    "model_args": "{n_timesteps: 3, trc: 2}",
}


@pytest.mark.slow
def test_scorecard_and_dynamics_from_nothing(workflow: Workflow) -> None:  # noqa: F811
    path = workflow.root / "config" / "config_experiments.yaml"
    path.write_text(path.read_text() + EXPERIMENTS)
    outcome = workflow.snakemake("scorecard", "dynamics", **SETTINGS)
    assert outcome.status == 0, outcome.said
    (run_id,) = workflow.runs
    card = pd.read_parquet(workflow.results / "scorecard" / run_id / "scorecard.parquet")
    assert set(card["experiment"]) == {"short_contrast", "short_interval", "duration"}
    scales = pd.read_parquet(workflow.results / "dynamics" / run_id / "timescales.parquet")
    assert list(scales["layer"]) == ["layer1", "layer2"]
    again = workflow.snakemake("-n", "scorecard", "dynamics", **SETTINGS)
    assert "Nothing to be done" in again.said


def test_an_experiment_of_the_scorecard_that_does_not_exist_is_one_sentence(workflow: Workflow) -> None:  # noqa: F811
    outcome = workflow.plan("-n", "scorecard", scorecard="{experiments: {contrast: contrast_ecg}}")
    assert outcome.status != 0 and "Traceback" not in outcome.said
    assert "unknown experiment 'contrast_ecg'" in outcome.said
