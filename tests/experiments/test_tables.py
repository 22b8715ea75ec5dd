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
import torch

from dynvision.config.run import read_run_config
from dynvision.data import read_manifest
from dynvision.experiments import tables
from dynvision.experiments.batches import Batch
from dynvision.experiments.outcomes import FEW, outcomes
from dynvision.experiments.tables import (
    KEYS,
    PERFORMANCE,
    RESPONSES,
    ExperimentWriter,
    TableWriter,
    TrialRecord,
)
from dynvision.experiments.trial import Responses
from dynvision.trials import IMAGE, Segment, Trial
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


@pytest.mark.parametrize("rows", [1, 2 * 2 * 3 * 4, 2**20])
def test_tables_are_the_same_however_many_trials_are_written_at_once(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "TABLE_ROWS", rows)
    generator = torch.Generator().manual_seed(0)
    shown, expected = [], []
    for value in (0.5, 1.0, 2.0):
        trial = Trial((Segment(1), Segment(2, IMAGE, value), Segment(1)), 2.0, value, onset=1)
        mean, sd = torch.rand(2, 2, 3, 4, generator=generator).numpy()
        mean[0, 1, 2] = np.inf
        kept = Responses(
            dict(zip(("V1", "IT"), mean, strict=True)), dict(zip(("V1", "IT"), sd, strict=True)), {}
        )
        shown.append(TrialRecord(trial, kept, torch.randn(3, 4, 5, generator=generator)))
        for place, layer in enumerate(("V1", "IT")):
            for image in range(3):
                for step in range(4):
                    numbers = [float(x[place, image, step]) for x in (mean, sd)]
                    row = (value, 7 + image, image % 2, layer, 2.0 * step, trial.shown[step], *numbers)
                    expected.append([np.nan if x == np.inf else x for x in row])
    batch = Batch(torch.zeros(3, 1, 1, 1), torch.tensor([0, 1, 0]), np.array([7, 8, 9]))
    paths = [tmp_path / f"{name}.parquet" for name in ("responses", "performance", "units")]
    with ExperimentWriter(*paths, {"run_id": "r", "experiment": "e", "parameter": "p"}, {}) as writer:
        for _ in range(2):
            writer.append(lambda: shown, batch, np.array(shown[0].trial.times_ms))
    made = pq.read_table(paths[0]).to_pandas()
    columns = ["value", "image", "label", "layer", "time_ms", "shown", "mean", "sd"]
    found = made[columns].astype({"layer": str, "shown": str})
    wanted = pd.DataFrame(2 * expected, columns=columns).astype(dict(found.dtypes))
    wanted["time_ms"] = 2 * 3 * 2 * 3 * shown[0].trial.times_ms
    pd.testing.assert_frame_equal(found, wanted)
    performance = pq.read_table(paths[1]).to_pandas()
    for k, record in enumerate(shown):
        own = outcomes(record.logits, batch.labels, record.trial.times_ms)
        of_trial = performance[performance["value"] == record.trial.value]
        for name, values in own.items():
            assert of_trial[name].to_numpy() == pytest.approx([*values.ravel()] * 2, rel=1e-6), (k, name)


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


@pytest.mark.parametrize("n_classes", [1, 2, FEW - 1, FEW, 40])
def test_outcomes_are_those_of_probabilities(n_classes: int) -> None:
    """Beside plain numpy in float64, with ties; a first of equal classes is the more probable one."""
    logits = torch.randn(6, 5, n_classes, generator=torch.Generator().manual_seed(n_classes)).round(
        decimals=1
    )
    label = torch.arange(6) % n_classes
    z = logits.double().numpy()
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    made = outcomes(logits, label, [2.0, 4.0, 6.0, 8.0, 10.0])
    evidence = 2.0 * p.cumsum(axis=1)
    second = np.sort(evidence, axis=-1)[..., -2] if n_classes > 1 else 0.0
    order = np.argsort(-logits.numpy(), axis=-1, kind="stable")
    expected = {
        "guess": z.argmax(axis=-1),
        "correct": z.argmax(axis=-1) == label.numpy()[:, None],
        "confidence": p.max(axis=-1),
        "label_confidence": np.take_along_axis(p, label.numpy()[:, None, None].repeat(5, 1), axis=-1)[..., 0],
        "label_rank": 1 + (order == label.numpy()[:, None, None]).argmax(axis=-1),
        "entropy_bits": -(p * np.log2(p)).sum(axis=-1),
        "uncertainty": n_classes / (1 + z.clip(0)).sum(axis=-1),
        "evidence_ms": evidence.max(axis=-1),
        "evidence_lead_ms": evidence.max(axis=-1) - second,
        "evidence_guess": evidence.argmax(axis=-1),
        "n_classes": np.full((6, 5), n_classes),
    }
    assert list(made) == list(expected)
    for name, values in expected.items():
        assert made[name] == pytest.approx(values, rel=1e-5, abs=1e-5), name
