"""Not-a-number is a value: a network that explodes is named with layer and time, never scores, and the rest is measured."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dynvision.experiments.outcomes import NO_GUESS, outcomes
from tests.lab import Lab


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_outputs_that_are_not_finite_guess_nothing(bad: float) -> None:
    """Also where the label is class 0, the one that argmax takes of NaN."""
    logits = torch.tensor([[[bad, 0.0, 0.0], [bad, bad, bad], [2.0, 0.0, 0.0]]])
    made = outcomes(logits, torch.tensor([0]), [1.0, 2.0, 3.0])
    assert made["guess"].tolist() == [[NO_GUESS, NO_GUESS, 0]]
    assert made["correct"].tolist() == [[False, False, True]]
    assert made["label_rank"].tolist() == [[4, 4, 1]]  # not among the 3 most probable
    for name in ("confidence", "label_confidence", "entropy_bits"):
        assert np.isnan(made[name][0, :2]).all() and np.isfinite(made[name][0, 2])


def test_an_exploding_network_is_named_and_the_rest_is_measured(lab_with_run: Lab) -> None:
    weights = lab_with_run.root / "run" / "model.safetensors"
    with safe_open(weights, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(weights)
    (recurrent,) = [
        name for name in tensors if "layer2" in name and "recurrence" in name and "bias" not in name
    ]
    tensors[recurrent] = torch.full_like(tensors[recurrent], 1e3)
    save_file(tensors, weights, metadata)
    frozen = lab_with_run.experiment("stability", recorded_ms=60, model_args={})
    outcome = lab_with_run.show(frozen)
    assert outcome.status == 0, outcome.said
    assert "at value 0.25 the activity of layer layer2 is not finite from" in outcome.said
    folder = lab_with_run.root / frozen.stem
    performance = pq.read_table(folder / "performance.parquet").to_pandas()
    exploded = performance["confidence"].isna()
    assert exploded.any() and not exploded.all()
    assert not performance.loc[exploded, "correct"].any()
    assert (performance.loc[exploded, "guess"] == NO_GUESS).all()
    responses = pq.read_table(folder / "responses.parquet").to_pandas()
    assert responses[responses["layer"] == "layer1"]["mean"].notna().all()
    analysed = lab_with_run.command(
        *("analyse", "--experiment", frozen, "--responses", folder / "responses.parquet"),
        *("--performance", folder / "performance.parquet"),
        *("--output", folder / "metrics.parquet", "--summary", folder / "summary.parquet"),
    )
    assert analysed.status == 0, analysed.said
    metrics = pq.read_table(folder / "metrics.parquet").to_pandas().set_index(["layer", "measure"])["mean"]
    assert metrics.loc[("layer1", "peak")].notna().all() and metrics.loc[("layer2", "peak")].isna().all()
    assert (metrics.loc[("classifier", "accuracy_peak")] <= 1).all()
