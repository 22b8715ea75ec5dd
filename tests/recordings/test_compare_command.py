"""``dynvision compare``: from a run's units and a recording to tables and a map."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dynvision import plugins
from dynvision.cli import main
from dynvision.config import to_yaml
from dynvision.config.comparison import DISTANCES, ComparisonConfig
from dynvision.data.conversion import convert_dataset
from dynvision.recordings import labelled_responses, open_responses, to_netcdf
from dynvision.runs import run_config
from dynvision.runs.made_from import of_comparison
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
    arguments += ["--results", str(laboratory / "results"), "--n-permutations", "40"]
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
        (["--n-permutations", "3"], "n_permutations=3 is too few"),
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


@pytest.fixture
def observed(tmp_path: Path) -> list[str]:
    """Guesses of a run on images of a folder, and observers who named them, by their files."""
    images = tmp_path / "animals"
    config = run_config("DyRCNNx2", {}, f"folder:{images}", {"resolution": 8}, {"epochs": 1}, 1)
    files = []
    for label, name in enumerate(("cat", "dog")):
        (images / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).save(
                images / name / f"{name}{number}.png"
            )
            files.append((f"{name}{number}", label))
    results = tmp_path / "results"
    run, data = results / "runs" / config.run_id, results / "data" / config.data_id
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(to_yaml(config))
    (run / "model.safetensors").touch()
    convert_dataset(config.data.images, data, "torch")
    folder = results / "experiments" / "contrast" / config.run_id
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    hard = random.uniform(0, 1, len(files))
    guesses = [
        {
            "value": 1.0, "image": image, "label": label, "time_ms": float(time),
            "guess": label if hard[image] < 0.7 else 1 - label, "confidence": min(1.0, time / (20 + 60 * hard[image])),
            "label_confidence": 1 - hard[image],
        }
        for image, (_, label) in enumerate(files)
        for time in range(0, 80, 2)
    ]  # fmt: skip
    pd.DataFrame(guesses).to_parquet(folder / "performance.parquet")
    trials = [
        {
            "image": stem, "observer": f"o{observer}", "rt_ms": 300 + 200 * hard[image] + random.normal(0, 10),
            "response": ("cat", "dog")[label if random.uniform() > 0.6 * hard[image] else 1 - label],
        }
        for image, (stem, label) in enumerate(files)
        for observer in range(6)
    ]  # fmt: skip
    pd.DataFrame(trials).to_csv(tmp_path / "trials.csv", index=False)
    arguments = ["compare", config.run_id, "--experiment", "contrast", "--data", str(tmp_path / "trials.csv")]
    return [*arguments, "--results", str(results), "--method", "behaviour"]


def test_decisions_are_compared_with_those_of_observers(
    observed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(observed) == 2
    assert "no image and condition in common; the network has 0, 1, 2" in capsys.readouterr().err.replace(
        "10", "2"
    )
    assert main([*observed, "--images", "stem"]) == 0
    (folder,) = (tmp_path / "results" / "comparisons" / "trials").iterdir()
    measures = pd.read_csv(folder / "measures.csv").set_index("measure")
    assert measures.loc["image_rt", "network"] > 0.9 and measures.loc["image_accuracy", "network"] > 0.3
    assert (measures["n_images"] == 20).all() and (measures["n_observers"] == 6).all()
    decisions = pd.read_csv(folder / "decisions.csv")
    assert decisions["label"].tolist() == ["cat"] * 10 + ["dog"] * 10 and (decisions["n_trials"] == 6).all()
    assert (folder / "behaviour.png").stat().st_size > 10_000
    assert main([*observed, "--images", "stem"]) == 0
    assert "scores are kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--layers", "V1"], "layers means nothing for method: behaviour"),
        (["--decision", "confidant"], "did you mean 'confidence'"),
        (["--images", "file"], "'file' .key images.; allowed: index, name, path, stem"),
    ],
)
def test_a_wrong_comparison_with_observers_is_one_sentence(
    observed: list[str], change: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*observed, *change]) == 2
    assert re.search(sentence, capsys.readouterr().err)


CITY_BLOCK = """
import numpy as np
from dynvision.extend import distance


@distance("cityblock")
def cityblock_distances(x):
    first, second = np.triu_indices(x.shape[1], 1)
    return np.abs(x[:, first] - x[:, second]).mean(axis=2)
"""


def test_a_distance_of_ones_own_is_found_by_name_and_its_source_counts(
    laboratory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = laboratory / "my_comparison.py"
    plugin.write_text(CITY_BLOCK)
    monkeypatch.setenv(plugins.VARIABLE, str(plugin))
    monkeypatch.setattr(plugins, "LOADED", dict(plugins.LOADED))
    arguments = ["compare", "run", "--experiment", "contrast", "--data", str(laboratory / "ecog.nc")]
    arguments += [
        "--results",
        str(laboratory / "results"),
        "--n-permutations",
        "0",
        "--distance",
        "cityblock",
    ]
    try:
        assert main(arguments) == 0
        folder = laboratory / "results" / "comparisons" / "ecog" / "run"
        lags = pd.read_csv(folder / "lags.csv").set_index("layer")
        assert lags.loc["V1", "lag_ms"] == 8.0 and lags.loc["V1", "best_score"] == pytest.approx(1)
        before = json.loads((folder / "comparison.json").read_text())["made_from"]
        plugin.write_text(CITY_BLOCK.replace("mean", "median").replace("np.abs", "1 * np.abs"))
        config = ComparisonConfig(experiment="contrast", data="x", distance="cityblock", n_permutations=0)
        assert of_comparison(config, "", None, "")["source"] != before["source"]
    finally:
        DISTANCES.remove("cityblock")
        sys.modules.pop("my_comparison", None)
