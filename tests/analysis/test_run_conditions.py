"""Seeds of one configuration belong together; what differs is found by name."""

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis import average_seeds, group_runs
from dynvision.analysis.bootstrap import BAND_IMAGES, BAND_NONE, BAND_SEEDS
from dynvision.runs import run_config


def make_run(seed=1, model="DyRCNNx4", training=None, **args):
    return run_config(model, args, "digits", {}, training or {}, seed)


def test_seeds_are_one_condition_and_parameters_that_differ_are_named():
    configs = [make_run(seed, recurrence_type=kind) for kind in ("full", "self") for seed in (2, 1)]
    conditions = group_runs(configs)
    assert [condition.differing for condition in conditions] == [
        {"model.args.recurrence_type": "full"},
        {"model.args.recurrence_type": "self"},
    ]
    assert conditions[0].run_ids == (configs[1].run_id, configs[0].run_id)  # by seed


def test_one_condition_differs_in_nothing_and_a_run_given_twice_counts_once():
    conditions = group_runs([make_run(), make_run()])
    assert len(conditions) == 1 and conditions[0].differing == {} and len(conditions[0].run_ids) == 1


def test_parameters_that_vary_together_are_all_named():
    conditions = group_runs([make_run(tau=5.0), make_run(tau=8.0, dt=1.0, t_recurrence=3.0)])
    assert set(conditions[0].differing) == {"model.args.tau", "model.args.dt", "model.args.t_recurrence"}
    assert set(group_runs([make_run(), make_run(model="DyRCNNx8")])[1].differing) == {"model.name"}
    by_loss = group_runs([make_run(), make_run(training={"loss": ["CrossEntropyLoss", "ActivityLoss"]})])
    assert set(by_loss[1].differing) == {"training.loss"}


def test_a_number_by_layer_is_one_parameter():
    """Around a base with one value, a rule and a mapping are levels of the same factor."""
    taus = (5.0, {"first": 5.0, "last": 20.0}, {"V1": 8.0, "IT": 30.0})
    conditions = group_runs([make_run(tau=tau) for tau in taus] + [make_run(recurrence_type={"V1": "none"})])
    assert [condition.differing["model.args.tau"] for condition in conditions] == [
        5.0,
        "5 to 20",
        "V1 8, IT 30",
        5.0,
    ]
    assert conditions[3].differing["model.args.recurrence_type"] == "V1 none"
    assert set(conditions[0].differing) == {"model.args.tau", "model.args.recurrence_type"}


def test_average_of_seeds_by_hand():
    table = pd.DataFrame(
        {
            "run_id": ["a", "a", "b", "b", "c", "c"],
            "value": [1.0, 2.0] * 3,
            "mean": [1.0, 2.0, 3.0, np.nan, 10.0, 20.0],
            "ci_low": [0.0, 1.0, 2.0, np.nan, 9.0, 19.0],
            "ci_high": [2.0, 3.0, 4.0, np.nan, 11.0, 21.0],
            "n_images": [5, 5, 4, 0, 7, 7],
        }
    )
    averaged = average_seeds(table, {"a": 0, "b": 0, "c": 1}, ["value"])
    assert averaged["condition"].tolist() == [0, 0, 1, 1]
    assert averaged["mean"].tolist() == [2.0, 2.0, 10.0, 20.0]
    assert averaged["low"].tolist() == [1.0, 2.0, 9.0, 19.0]
    assert averaged["high"].tolist() == [3.0, 2.0, 11.0, 21.0]
    assert averaged["n_seeds"].tolist() == [2, 1, 1, 1]
    assert averaged["n_images"].tolist() == [4, 0, 7, 7]
    assert averaged["band"].tolist() == [BAND_SEEDS, BAND_SEEDS, BAND_IMAGES, BAND_IMAGES]


def test_without_an_interval_one_run_has_no_band():
    table = pd.DataFrame({"run_id": ["a", "b", "c"], "epoch": 0, "mean": [1.0, 2.0, 4.0]})
    averaged = average_seeds(table, {"a": 0, "b": 1, "c": 1}, ["epoch"])
    assert averaged["band"].tolist() == [BAND_NONE, BAND_SEEDS]
    assert averaged["mean"].tolist() == pytest.approx([1.0, 3.0])
