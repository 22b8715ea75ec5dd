"""Scorecards over seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dynvision.analysis.bootstrap import bootstrap_interval
from dynvision.analysis.conditions import Condition
from dynvision.analysis.scorecard import score_run, seed_scorecard, seeds_text
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from tests.scorecard.delayed_normalization_tables import HUMAN, response_table

TAUS = (12.0, 17.0, 25.0)
CONFIG = validate(RunConfig, {"model": {"name": "DyRCNNx4"}}, "")


@pytest.fixture(scope="module")
def cards():
    made = {}
    for n, tau1 in enumerate(TAUS):
        model = replace(HUMAN["V1"], tau1_ms=tau1)
        table = response_table("duration", {"V1": model}, n_images=2).assign(run_id=f"run{n}")
        made[f"run{n}"] = score_run({"duration": table}, {"V1": ["V1-V3"]})
    return made


def test_means_and_intervals_over_seeds_are_those_of_the_runs(cards):
    averaged = seed_scorecard(cards, [Condition(("run0", "run1", "run2"), CONFIG, {})])
    row = averaged[averaged["name"] == "dn_tau1_ms"].squeeze()
    low, high = bootstrap_interval(
        np.array([[c.loc[c["name"] == "dn_tau1_ms", "model"].item()] for c in cards.values()])
    )
    assert (row["seeds_low"], row["seeds_high"]) == (low[0], high[0])
    assert row["model"] == pytest.approx(18.0, rel=1e-3) and row["cortex"] == 17 and row["n_seeds"] == 3
    assert row["images_high"] - row["images_low"] < 0.1 < row["seeds_high"] - row["seeds_low"]
    signs = averaged[averaged["kind"] == "sign"]
    assert signs.loc[signs["name"] == "summation_is_subadditive", "n_yes"].item() == 3
    assert len(averaged) == len(cards["run0"])
    text = seeds_text(averaged)
    assert "Over 3 seeds" in text and "3 of 3 yes" in text and "cortex 17" in text


def test_runs_that_repeat_nobody_are_left_out(cards):
    conditions = [Condition(("run0",), CONFIG, {}), Condition(("run1", "run2"), CONFIG, {})]
    averaged = seed_scorecard(cards, conditions)
    assert set(averaged["condition"]) == {"run1"}
    assert seed_scorecard(cards, conditions[:1]).empty
