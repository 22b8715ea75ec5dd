"""The tables of an experiment: every test image exactly once in every condition, in ms from stimulus onset."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dynvision.config.run import read_run_config
from dynvision.data import read_manifest
from dynvision.experiments.tables import KEYS, PERFORMANCE, RESPONSES, TableWriter
from tests.lab import Lab

TIMES = [2.0 * step for step in range(-1, 11)]


@pytest.fixture(scope="module")
def shown(trained_lab: Lab) -> Path:
    """The folder with the tables of the experiment contrast."""
    outcome = trained_lab.show(trained_lab.experiment(), tables="contrast")
    run_id = read_run_config(trained_lab.root / "config.yaml").run_id
    assert outcome.status == 0
    said = rf"{run_id}: contrast: 6 of 6 images in 2 conditions in [\d.]+ s\n"
    assert re.fullmatch(said, outcome.said)
    return trained_lab.root / "contrast"


@pytest.fixture(scope="module")
def responses(shown: Path) -> pd.DataFrame:
    return pq.read_table(shown / "responses.parquet").to_pandas()


@pytest.fixture(scope="module")
def performance(shown: Path) -> pd.DataFrame:
    return pq.read_table(shown / "performance.parquet").to_pandas()


def test_columns_and_types(shown: Path) -> None:
    for name, schema in (("responses", RESPONSES), ("performance", PERFORMANCE)):
        assert pq.read_schema(shown / f"{name}.parquet").equals(schema)
    assert sorted(path.name for path in shown.iterdir()) == [
        "performance.parquet",
        "responses.json",
        "responses.parquet",
    ]


def test_every_test_image_once_in_every_condition(
    responses: pd.DataFrame, performance: pd.DataFrame, trained_lab: Lab
) -> None:
    test = read_manifest(trained_lab.root / "data").test
    cells = {(value, image, time) for value in (0.25, 1.0) for image in test.indices for time in TIMES}
    keys = ["value", "image", "time_ms"]
    assert len(performance) == len(cells)
    assert set(performance[keys].itertuples(index=False, name=None)) == cells
    for layer in ("layer1", "layer2"):
        of_layer = responses[responses["layer"] == layer]
        assert len(of_layer) == len(cells)
        assert set(of_layer[keys].itertuples(index=False, name=None)) == cells
    assert set(responses["layer"]) == {"layer1", "layer2"}
    labels = dict(zip(test.indices, test.labels, strict=True))
    for table in (responses, performance):
        assert table["label"].tolist() == [labels[image] for image in table["image"]]


def test_what_the_tables_are_of(responses: pd.DataFrame, performance: pd.DataFrame, trained_lab: Lab) -> None:
    run_id = read_run_config(trained_lab.root / "config.yaml").run_id
    for table in (responses, performance):
        for column, value in {"run_id": run_id, "experiment": "contrast", "parameter": "contrast"}.items():
            assert table[column].unique().tolist() == [value]


def test_guesses_agree_with_confidences(performance: pd.DataFrame) -> None:
    assert np.array_equal(performance["correct"], performance["guess"] == performance["label"])
    assert performance["confidence"].between(1 / 3 - 1e-6, 1).all()
    right = performance[performance["correct"]]
    wrong = performance[~performance["correct"]]
    assert np.array_equal(right["confidence"], right["label_confidence"])
    assert (wrong["label_confidence"] <= wrong["confidence"]).all()
    assert performance["label_confidence"].between(0, 1).all()
    assert set(performance["guess"]) <= {0, 1, 2}


def test_batches_of_two_are_the_same_tables(shown: Path, trained_lab: Lab, lab_with_run: Lab) -> None:
    experiment = trained_lab.root / "contrast-experiment.yaml"
    folder = lab_with_run.root / "small"
    files = {"responses": folder / "responses.parquet", "performance": folder / "performance.parquet"}
    outcome = lab_with_run.command(
        *("experiment", "--experiment", experiment, "--config", lab_with_run.root / "config.yaml"),
        *("--weights", lab_with_run.root / "run" / "model.safetensors", "--data", lab_with_run.root / "data"),
        *(part for name, path in files.items() for part in (f"--{name}", path)),
        *("--loader", "torch", "--test-batch-size", 2),
    )
    assert outcome.status == 0
    for name, path in files.items():
        keys = [
            key for key in ("value", "layer", "image", "time_ms") if key != "layer" or name == "responses"
        ]
        ours, theirs = (
            pq.read_table(file)
            .to_pandas()
            .astype({"layer": str} if name == "responses" else {})
            .sort_values(keys)
            for file in (path, shown / f"{name}.parquet")
        )
        pd.testing.assert_frame_equal(
            ours.reset_index(drop=True), theirs.reset_index(drop=True), rtol=1e-4, atol=1e-6
        )


def test_the_accuracy_is_that_of_the_test(trained_lab: Lab, lab_with_run: Lab) -> None:
    """Without idle time and baseline, an image shown as in training is guessed as in the test after it."""
    as_trained = {
        "stimulus": {"duration_ms": 6},
        "values": [1],
        "baseline_ms": 0,
        "recorded_ms": 6,
        "model_args": {},
    }
    assert (
        lab_with_run.show(lab_with_run.experiment("training-like", **as_trained), tables="tables").status == 0
    )
    performance = pq.read_table(lab_with_run.root / "tables" / "performance.parquet").to_pandas()
    summary = json.loads((trained_lab.root / "run" / "test.json").read_text())
    last = performance[performance["time_ms"] == 6]
    assert last["correct"].mean() == pytest.approx(summary["test_accuracy"])
    assert performance["correct"].mean() == pytest.approx(summary["test_accuracy_over_time"])


def test_another_grid_is_the_same_time(lab_with_run: Lab) -> None:
    """The experiment of a network that was trained in steps of 2 ms, in steps of 1 ms."""
    finer = lab_with_run.experiment("finer", model_args={"dt": 1, "t_idle": 8})
    assert lab_with_run.show(finer, tables="finer").status == 0
    table = pq.read_table(lab_with_run.root / "finer" / "performance.parquet").to_pandas()
    one = table[(table["value"] == 1) & (table["image"] == table["image"].iloc[0])]
    assert one["time_ms"].tolist() == [float(time) for time in range(-3, 21)]
    assert one.loc[one["stimulus_on"], "time_ms"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_layers_stand_in_the_order_of_the_network(tmp_path: Path) -> None:
    """Readers take it for the hierarchy: trends along it are of V1 to IT, not of the alphabet."""
    layers = ["V1", "V2", "V4", "IT"]
    writer = TableWriter(
        tmp_path / "t.parquet", pa.schema(KEYS), {"run_id": "r", "experiment": "e", "parameter": "p"}
    )
    columns = {name: np.zeros((1, 1), np.int64) for name in ("value", "image", "label")}
    columns |= {"layer": np.array(layers, dtype=object)[:, None], "time_ms": np.array([[0.0, 2.0]])}
    writer.append(columns, (4, 2))
    writer.close()
    read = pq.read_table(tmp_path / "t.parquet").to_pandas()["layer"]
    assert list(read.cat.categories) == list(read.unique()) == layers
    assert read.tolist() == [layer for layer in layers for _ in range(2)]


def test_a_disk_that_is_full_ends_the_experiment_and_leaves_no_table(
    lab_with_run: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables are written by a thread of their own; what goes wrong there must not be lost."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TableWriter, "append", full)
    outcome = lab_with_run.show(lab_with_run.experiment(), tables="full")
    assert outcome.status == 2 and "No space left" in outcome.said
    assert not [path for path in (lab_with_run.root / "full").rglob("*") if path.is_file()]
