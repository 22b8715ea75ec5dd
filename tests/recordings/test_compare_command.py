"""``dynvision compare``: from a run's units and a recording to tables and a map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dynvision.cli import main
from dynvision.recordings import labelled_responses, open_responses, to_netcdf
from tests.recordings.made import write_units

SHAPES = {"V1": (3, 3, 3), "IT": (8, 2, 2)}


@pytest.fixture
def laboratory(tmp_path: Path) -> Path:
    """A run's units of one condition, and a recording of V1 that follows it by two steps."""
    folder = tmp_path / "results" / "experiments" / "contrast" / "run"
    folder.mkdir(parents=True)
    write_units(folder / "units.parquet", SHAPES, [1.0], n_images=10, n_steps=12)
    v1 = open_responses(folder / "units.parquet", layers=["V1"]).load()
    late = np.roll(v1["response"].values, 2, axis=2)
    unit = {"area": np.full(late.shape[1], "V1-V3")}
    brain = labelled_responses(late, v1["time_ms"].values, {"image": v1["image"].values}, unit)
    to_netcdf(brain, tmp_path / "ecog.nc")
    return tmp_path


def test_the_layer_and_lag_of_a_made_recording_are_found(
    laboratory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", "run", "--experiment", "contrast", "--data", str(laboratory / "ecog.nc")]
    arguments += ["--results", str(laboratory / "results"), "--permutations", "40"]
    assert main(arguments) == 0
    folder = laboratory / "results" / "comparisons" / "ecog" / "run"
    lags = pd.read_csv(folder / "lags.csv").set_index("layer")
    assert lags.loc["V1", "lag_ms"] == 8.0 and lags.loc["V1", "best_score"] == pytest.approx(1)
    assert lags.loc["IT", "best_score"] < 0.9
    scores = pd.read_parquet(folder / "scores.parquet")
    assert len(scores) == 2 * 12 * 12
    assert (folder / "time_maps.png").stat().st_size > 10_000 and (folder / "time_maps.svg").is_file()
    courses = pd.read_csv(folder / "courses.csv")
    v1 = courses[courses["layer"] == "V1"]
    assert (v1["brain_ms"] - v1["model_ms"] == 8).all() and v1["score"].tolist() == pytest.approx([1] * 10)
    assert "V1-V3" in capsys.readouterr().out
    look = laboratory / "look.yaml"
    look.write_text("names: {V1: striate}\n")
    assert main([*arguments, "--visualization", str(look)]) == 0
    assert "scores are kept" in capsys.readouterr().out and "striate" in (folder / "courses.svg").read_text()
    assert main([*arguments, "--seed", "3"]) == 0
    assert "scores are kept" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--method", "rsaa"], "did you mean 'rsa'"),
        (["--layers", "V2"], "unknown layer 'V2'"),
        (["--areas", "V4"], "unknown area 'V4'"),
        (["--distance", "crossnobis"], "at least two repetitions"),
        (["--score", "pearson"], "unknown score 'pearson'"),
        (["--experiment", "contrst"], "save_responses: unit"),
        (["--permutations", "3"], "n_permutations=3 is too few"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(
    laboratory: Path, change: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", "run", "--experiment", "contrast", "--data", str(laboratory / "ecog.nc")]
    arguments += ["--results", str(laboratory / "results"), *change]
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err
    assert not (laboratory / "results" / "comparisons").exists()
