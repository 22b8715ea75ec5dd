"""Tables of a network whose responses are known in closed form, and their measures on two time grids."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from dynvision.analysis import measure_responses
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.section import validate
from dynvision.experiments.batches import Batch
from dynvision.experiments.run import Session
from dynvision.experiments.tables import ExperimentWriter
from dynvision.noise import PixelScale
from dynvision.text import Progress
from dynvision.trials.presentation import experiment_trials
from tests.experiments.leaky_chain import TAU, LeakyChain

VALUES = {5: 1.0, 2: 0.4, 9: 0.8}  # grey value of each flat image by its index
CONTRAST = {
    "stimulus": {"duration_ms": 20},
    "parameter": "contrast",
    "values": [0.5, 1.0],
    "baseline_ms": 4,
    "recorded_ms": 60,
}


def tables(folder: Path, dt: float = 2.0, **config: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of an experiment on three flat images."""
    experiment = validate(ExperimentConfig, config, "")
    model = LeakyChain(dt=dt, input_dims=(1, 1, 4, 4))
    images = torch.tensor([*VALUES.values()], dtype=torch.float64).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    batch = Batch(images, torch.tensor([0, 1, 0]), np.array([*VALUES]))
    one = torch.ones((1, 1, 1, 1), dtype=torch.float64)
    shown = experiment_trials(experiment, dt)
    session = Session(model, shown, PixelScale(0 * one, one), 0, Progress("", 10**6, "trials"), 0)
    paths = [folder / f"{name}.parquet" for name in ("responses", "performance", "units")]
    fixed = {"run_id": "known", "experiment": "test", "parameter": experiment.parameter}
    with ExperimentWriter(*paths, fixed, {}) as results:
        results.append(session.show(batch), batch, np.array(shown[0].times_ms))
    responses, performance = (pq.read_table(path).to_pandas() for path in paths[:2])
    return responses, performance


def step_response(drive: np.ndarray, dt: float) -> np.ndarray:
    """Plain loop over a leaky unit that is driven by ``drive`` (T,)."""
    r, values = 0.0, []
    for z in drive:
        r = r + (1 - math.exp(-dt / TAU)) * (z - r)
        values.append(r)
    return np.array(values)


def test_the_tables_are_exactly_the_expected_ones(tmp_path: Path) -> None:
    responses, performance = tables(tmp_path, **CONTRAST)
    time = np.arange(-2, 61, 2.0)
    on = (time > 0) & (time <= 20)
    expected_responses, expected_performance = [], []
    for value in (0.5, 1.0):
        for (image, grey), label in zip(VALUES.items(), (0, 1, 0), strict=True):
            amplitude = value * grey
            # A in closed form: it charges while the stimulus is on and decays afterwards
            charged = amplitude * (1 - np.exp(-time / TAU))
            decays = amplitude * (1 - math.exp(-20 / TAU)) * np.exp(-(time - 20) / TAU)
            a = np.where(time <= 0, 0.0, np.where(on, charged, decays))
            b = step_response(a, 2.0)
            common = {
                "run_id": "known",
                "experiment": "test",
                "parameter": "contrast",
                "value": value,
                "image": image,
                "label": label,
            }
            for layer, r in (("A", a), ("B", b)):
                for t, response, is_on in zip(time, r, on, strict=True):
                    row = {**common, "layer": layer, "time_ms": t, "stimulus_on": is_on}
                    row |= {"shown": "image" if is_on else "blank", "mean": response, "sd": 0.0}
                    expected_responses.append(row)
            evidence = np.zeros(2)  # of a race between the two classes, from onset on
            for t, response, is_on in zip(time, b, on, strict=True):
                p = math.exp(response) / (math.exp(response) + math.exp(0.3))
                guess = 0 if response >= 0.3 else 1
                own = p if label == 0 else 1 - p
                row = {**common, "time_ms": t, "stimulus_on": is_on, "shown": "image" if is_on else "blank"}
                row |= {"guess": guess, "correct": guess == label, "confidence": max(p, 1 - p)}
                row |= {"label_confidence": own, "label_rank": 1 if guess == label else 2}
                row |= {"entropy_bits": -(p * math.log2(p) + (1 - p) * math.log2(1 - p))}
                evidence += 2.0 * np.array([p, 1 - p]) * (t > 0)
                row |= {"uncertainty": 2 / (2 + response + 0.3), "evidence_ms": evidence.max()}
                row |= {"evidence_lead_ms": np.ptp(evidence)}
                row |= {"evidence_guess": int(evidence.argmax()) if t > 0 else -1, "n_classes": 2}
                expected_performance.append(row)
    for table, expected, keys in (
        (responses, expected_responses, ["value", "image", "layer", "time_ms"]),
        (performance, expected_performance, ["value", "image", "time_ms"]),
    ):
        wanted = pd.DataFrame(expected)
        assert list(table.columns) == list(wanted.columns)
        got = table.astype(dict.fromkeys(("run_id", "experiment", "parameter", "shown"), str))
        got = got.astype({"layer": str} if "layer" in got else {})
        for frame in (got, wanted):
            frame.sort_values(keys, inplace=True, ignore_index=True)
        pd.testing.assert_frame_equal(got, wanted, check_dtype=False, rtol=1e-6, atol=1e-6)


PROTOCOLS: dict[str, dict[str, Any]] = {
    "contrast": CONTRAST,
    "duration": {**CONTRAST, "parameter": "duration_ms", "values": [4, 10, 40]},
    "interval": {**CONTRAST, "stimulus": {"type": "pair", "duration_ms": 6}, "parameter": "gap_ms", "values": [4, 20]},
    "masking": {
        **CONTRAST,
        "stimulus": {"type": "masked", "mask": "gaussian", "mask_duration_ms": 10},
        "parameter": "soa_ms",
        "values": [16, 24, 60],
    },
    "noise": {**CONTRAST, "noise": {"type": "gaussian", "ssnr": 0.5, "refresh_ms": 4}},
}  # fmt: skip


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_time_grid_does_not_change_what_is_measured(name: str, tmp_path: Path) -> None:
    """A leaky unit under a constant drive is solved exactly: the state at a time is the same on every grid.

    A row is labelled by the end of its step. B hears of A at the end of a step, too, which is what
    remains of the grid: a shift of less than dt, so that B agrees to first order.
    """
    (coarse, guesses), (fine, finer_guesses) = (
        tables(tmp_path / str(dt), dt=dt, **PROTOCOLS[name]) for dt in (2.0, 1.0)
    )
    state = [table[table["layer"] == "A"] for table in (coarse, fine)]
    both = state[0].merge(state[1], on=["value", "image", "time_ms"], suffixes=("", "_fine"))
    assert len(both) == len(state[0])
    assert both["mean"].to_numpy() == pytest.approx(both["mean_fine"].to_numpy(), abs=1e-6)
    names = ("rise_time_ms", "peak", "summed_response")
    measured = [
        measure_responses(*pair, names).pivot_table("mean", ["value", "layer"], "measure", observed=True)
        for pair in ((coarse, guesses), (fine, finer_guesses))
    ]
    old, new = (table.drop(index="classifier", level="layer") for table in measured)
    assert (old["rise_time_ms"] - new["rise_time_ms"]).abs().max() <= 2.0
    assert old["peak"].to_numpy() == pytest.approx(new["peak"].to_numpy(), rel=0.08)
    assert old["summed_response"].to_numpy() == pytest.approx(new["summed_response"].to_numpy(), rel=0.08)
    of_a = [table.xs("A", level="layer") for table in (old, new)]
    assert of_a[0]["peak"].to_numpy() == pytest.approx(of_a[1]["peak"].to_numpy(), rel=1e-6)


def test_nothing_moves_before_the_stimulus(tmp_path: Path) -> None:
    """A sample is labelled by the end of its step: at t a leaky unit is at 1 - exp(-t / tau), at onset still at rest."""
    responses, performance = tables(tmp_path, **{**CONTRAST, "values": [1.0]})
    one = responses[(responses["layer"] == "A") & (responses["image"] == 5)].set_index("time_ms")["mean"]
    assert (one[one.index <= 0] == 0).all() and one.index.min() == -2
    for t in (2.0, 10.0, 20.0):
        assert one[t] == pytest.approx(1 - math.exp(-t / TAU), rel=1e-6)
    assert one.idxmax() == 20  # the last sample with the stimulus on is that at its offset
    on = performance[performance["stimulus_on"]]["time_ms"]
    assert (on.min(), on.max()) == (2, 20)
    rest = performance[(performance["time_ms"] <= 0) & (performance["image"] == 5)]["label_confidence"]
    assert rest.nunique() == 1
