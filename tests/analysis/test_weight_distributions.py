"""Distributions of weights: exact where they can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis.weights import layer_and_connection, read_weight_distributions, weight_distributions
from dynvision.errors import InputError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("V1.conv.weight", ("V1", "feedforward")),
        ("V1.conv2.weight", ("V1", "feedforward")),
        ("V1.recurrence.weight", ("V1", "recurrence")),
        ("V4.recurrence.0.weight", ("V4", "recurrence")),
        ("addskip_V4.conv.weight", ("V4", "skip")),
        ("addfeedback_V1.conv.weight", ("V1", "feedback")),
        ("classifier.weight", ("classifier", "classifier")),
    ],
)
def test_names_say_layer_and_connection(name, expected):
    assert layer_and_connection(name) == expected


def test_counts_and_moments():
    weights = np.array([-1.0, -1.0, 0.0, 3.0], np.float32)
    tensors = {
        "V1.conv.weight": weights[:2].reshape(2, 1),
        "V1.conv2.weight": weights[2:].reshape(2, 1),
        "V1.conv.bias": np.full(3, 100.0),
        "V1.recurrence.weight": np.array([0.5, 0.5]),  # of self connections: one for each channel
        "norm.weight": np.ones(5),  # a gain, not a connection
        "addbias_V1.bias": np.ones((3, 4, 4)),
        "tstep_V1.log_tau": np.array(1.0),
    }
    table = weight_distributions(tensors, "run")
    groups = table.groupby(["layer", "connection"])
    assert set(groups.groups) == {("V1", "feedforward"), ("V1", "recurrence")}
    forward = groups.get_group(("V1", "feedforward"))
    assert forward["n_in_bin"].sum() == forward["n_weights"].iloc[0] == 4
    assert (forward["bin_low"].iloc[0], forward["bin_high"].iloc[-1]) == (-1.0, 3.0)
    assert forward["n_in_bin"].iloc[0] == 2 and forward["n_in_bin"].iloc[-1] == 1
    assert forward["mean"].iloc[0] == pytest.approx(weights.mean())
    assert forward["sd"].iloc[0] == pytest.approx(weights.std())
    assert forward["fraction_negative"].iloc[0] == 0.5 and forward["median"].iloc[0] == -0.5


def test_what_cannot_be_described_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="weights V1.conv.weight of run a are not all finite"):
        weight_distributions({"V1.conv.weight": np.array([[np.nan]])}, "a")
    with pytest.raises(InputError, match="run a has no weights"):
        weight_distributions({"V1.conv.bias": np.ones(3)}, "a")
    with pytest.raises(InputError, match="does not exist"):
        read_weight_distributions(tmp_path / "weights.parquet")
    (tmp_path / "weights.parquet").write_text("no")
    with pytest.raises(InputError, match="cannot be read"):
        read_weight_distributions(tmp_path / "weights.parquet")
    pd.DataFrame({"layer": ["V1"]}).to_parquet(tmp_path / "weights.parquet")
    with pytest.raises(InputError, match="lacks the columns run_id, connection"):
        read_weight_distributions(tmp_path / "weights.parquet")
