"""``dynvision predict``: a table of answers, as the model gives them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dynvision.inference import RunModel
from tests.inference.toy import cpu
from tests.lab import forked_command
from tests.processes import Outcome


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one.png", tmp_path / "another.png"]
    for number, path in enumerate(paths):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return paths


def predict(tmp_path: Path, *arguments: object) -> Outcome:
    return forked_command("predict", *arguments, log=tmp_path / "log")


def test_the_table_is_what_the_model_says(digits_run: Path, images: list[Path], tmp_path: Path) -> None:
    model = RunModel(cpu())
    model.load_model(digits_run)
    answers = model.predict_batch(images)
    by_id = ("--results", digits_run.parents[1])
    for run in ((digits_run,), (digits_run.name[:10], *by_id), (digits_run.name, *by_id)):
        outcome = predict(
            tmp_path, run[0], *images, *run[1:], "--device", "cpu", "--output", tmp_path / "out.csv"
        )
        assert outcome.status == 0, outcome.said
        header, *rows = outcome.said.splitlines()
        assert header.split() == ["image", "class", "probability", "decision", "(ms)"]
        for row, path, answer in zip(rows, images, answers, strict=True):
            decision = "-" if np.isnan(answer.decision_ms) else f"{answer.decision_ms:g}"
            assert row.split() == [str(path), answer.class_name, f"{answer.probability:.3f}", decision]
    table = pd.read_csv(tmp_path / "out.csv")
    n_steps = len(answers[0].time_ms)
    assert list(table) == ["image", "time_ms", "class_name", "probability"] and len(table) == 2 * n_steps * 10
    of_first = table[table.image == str(images[0])].probability.to_numpy().reshape(n_steps, 10)
    assert np.allclose(of_first, answers[0].probabilities)
    assert table.groupby(["image", "time_ms"]).probability.sum().to_numpy() == pytest.approx(1)


def test_decision_is_the_first_time_with_half_the_probability() -> None:
    from dynvision.inference import Prediction

    p = np.array([[0.5, 0.5], [0.4, 0.6], [0.9, 0.1]])
    prediction = Prediction(np.array([0.0, 2.0, 4.0]), p, ("a", "b"), 2)
    assert (prediction.class_name, prediction.probability, prediction.decision_ms) == ("a", 0.9, 2.0)
    assert repr(prediction) == "Prediction('a', probability 0.900, decision at 2 ms; 3 steps, 2 classes)"
    never = Prediction(np.array([2.0]), np.array([[0.4, 0.3, 0.3]]), ("a", "b", "c"), 0)
    assert np.isnan(never.decision_ms)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda call: call | {"run": "DyRCNNx4_nothing"}, "unknown run 'DyRCNNx4_nothing'"),
        (lambda call: call | {"device": "gpu"}, "unknown value 'gpu' (key device.device_type)"),
        (lambda call: call | {"output": "table.txt"}, "--output table.txt must end in .csv or .json"),
        (lambda call: call | {"data": "nowhere"}, "nowhere/manifest.json is missing; give the folder"),
    ],
)
def test_what_cannot_be_answered(
    digits_run: Path, images: list[Path], tmp_path: Path, change: object, said: str
) -> None:
    call = {"run": digits_run.name, "image": images[1], "device": "cpu", "output": tmp_path / "out.csv"}
    call |= {"data": next((digits_run.parents[1] / "data").iterdir())}
    call = change(call)  # type: ignore[operator]
    outcome = predict(
        tmp_path, call["run"], images[0], call["image"], "--results", digits_run.parents[1], "--device", call["device"],
        "--output", call["output"], "--data", call["data"],
    )  # fmt: skip
    assert outcome.status == 2
    assert outcome.said.startswith("dynvision predict: ") and said in outcome.said
    assert outcome.said.count("\n") == 1 and not (tmp_path / "out.csv").exists()


def test_an_image_that_cannot_be_answered_loses_no_other(
    digits_run: Path, images: list[Path], tmp_path: Path
) -> None:
    call = (digits_run, images[0], "nothing.png", images[1], "--device", "cpu")
    outcome = predict(tmp_path, *call, "--output", tmp_path / "out.json")
    assert outcome.status == 3
    said = "dynvision predict: input 1: image nothing.png does not exist"
    assert [line.split()[0] for line in outcome.said.splitlines() if not line.startswith(said)] == [
        "image",
        str(images[0]),
        "nothing.png",
        str(images[1]),
    ]
    assert outcome.said.count(said) == 1
    whole = json.loads((tmp_path / "out.json").read_text())
    assert [each["image"] for each in whole] == [str(path) for path in images]
    assert np.allclose(np.sum(whole[0]["probabilities"], axis=1), 1)
    stopped = predict(tmp_path, *call, "--no-keep-going")
    assert stopped.status == 2 and stopped.said.startswith(said) and stopped.said.count("\n") == 1


def test_json_and_csv(digits_run: Path, images: list[Path], tmp_path: Path) -> None:
    model = RunModel(cpu())
    model.load_model(digits_run)
    answers = model.predict_batch(images)
    shown = predict(tmp_path, digits_run, *images, "--device", "cpu", "--format", "json")
    listed = json.loads(shown.said)
    table = predict(tmp_path, digits_run, *images, "--device", "cpu", "--format", "csv")
    frame = pd.read_csv(io.StringIO(table.said), dtype={"class": str})
    for row, (_, line), path, answer in zip(listed, frame.iterrows(), images, answers, strict=True):
        for given in (row, line):
            assert (given["image"], given["class"]) == (str(path), answer.class_name)
            assert given["probability"] == pytest.approx(answer.probability)
        assert row["error"] is None


@pytest.mark.parametrize(
    ("content", "kind"), [(b"<html>404", "an HTML page"), (b"PK\x03\x04", "a zip archive")]
)
def test_a_file_that_is_no_run_is_named(
    content: bytes, kind: str, images: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    outcome = predict(tmp_path, tmp_path / "last.ckpt", *images, "--results", tmp_path)
    assert outcome.status == 2
    assert f"last.ckpt is no run but {kind}" in outcome.said and "dynvision weights import" in outcome.said
