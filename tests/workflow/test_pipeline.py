"""The main job end to end, on a handful of digits: what there is afterwards, and that it is right."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dynvision.config.measures import DEFAULT_MEASURES
from dynvision.config.run import read_run_config
from dynvision.config.visualization import DEFAULT_FIGURES, RUN_FIGURES, SWEEP_FIGURES
from dynvision.data import read_manifest
from tests.processes import Outcome
from tests.workflow.conftest import Workflow

EXPERIMENTS = {"contrast": [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0], "duration": [2, 4, 6, 8, 10, 20, 30, 40]}
LAST_MS = {"contrast": 58.0, "duration": 98.0}


@pytest.fixture(scope="module")
def done(finished: tuple[Workflow, Outcome]) -> Workflow:
    workflow, outcome = finished
    assert outcome.status == 0, outcome.said
    return workflow


def test_the_call_is_calm(finished: tuple[Workflow, Outcome], done: Workflow) -> None:
    said = finished[1].said
    assert "25 of 25 steps (100%) done" in said
    assert "The report is results/report.html" in said
    assert not re.search(r"warning|deprecat|traceback|error", said, re.IGNORECASE)
    for run_id in done.runs:
        assert f"train {run_id}\n" in said and f"{run_id}: epoch 2/2 train_loss=" in said
        assert f"run contrast on {run_id}\n" in said and f"measure duration of {run_id}\n" in said


def test_the_runs(done: Workflow) -> None:
    configs = [read_run_config(done.results / "runs" / run_id / "config.yaml") for run_id in done.runs]
    assert [config.run_id for config in configs] == done.runs
    assert {config.model.args["recurrence_type"] for config in configs} == {"full", "self"}
    for config in configs:
        assert config.model.name == "DyRCNNx2"
        assert (config.model.args["n_timesteps"], config.model.args["t_recurrence"]) == (3, 2.0)
        assert (config.data.resolution, config.data.n_channels, config.training.epochs) == (8, 1, 2)


def test_the_table_of_runs(done: Workflow) -> None:
    with open(done.results / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == done.runs
    for row in rows:
        config = read_run_config(done.results / "runs" / row["run_id"] / "config.yaml")
        assert row["model.args.recurrence_type"] == config.model.args["recurrence_type"]
        assert (row["data.name"], row["data.resolution"], row["seed"]) == (f"folder:{done.images}", "8", "1")
        assert float(row["training.learning_rate"]) == config.training.learning_rate


def test_one_data_folder_for_both_runs(done: Workflow) -> None:
    (folder,) = (done.results / "data").iterdir()
    assert folder.name.startswith("small-digits_s1_")
    manifest = read_manifest(folder)
    assert manifest.counts == {"train": 27, "val": 3, "test": 6}
    assert manifest.class_names == ("digit 0", "digit 1", "digit 2")


def test_each_run_is_trained_and_tested(done: Workflow) -> None:
    for run_id in done.runs:
        folder = done.results / "runs" / run_id
        assert pd.read_csv(folder / "training.csv")["epoch"].tolist() == [1, 2]
        assert json.loads((folder / "test.json").read_text())["n_images"] == 6
        assert (folder / "model.safetensors").stat().st_size > 10_000


def tables(done: Workflow, name: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for experiment in EXPERIMENTS:
        for run_id in done.runs:
            yield (
                experiment,
                run_id,
                pd.read_parquet(done.results / "experiments" / experiment / run_id / f"{name}.parquet"),
            )


def test_every_test_image_once_in_every_condition(done: Workflow) -> None:
    (folder,) = (done.results / "data").iterdir()
    test = read_manifest(folder).test
    for name, layers in (("performance", 1), ("responses", 2)):
        for experiment, run_id, table in tables(done, name):
            times = np.arange(0.0, LAST_MS[experiment] + 3, 2.0)
            values = EXPERIMENTS[experiment]
            keys = ["value", "image", "time_ms", *(["layer"] if name == "responses" else [])]
            assert not table.duplicated(keys).any()
            assert len(table) == len(values) * len(test.indices) * len(times) * layers
            assert sorted(table["value"].unique()) == values
            assert sorted(table["image"].unique()) == sorted(test.indices)
            assert np.array_equal(np.sort(table["time_ms"].unique()), times)
            assert table["run_id"].unique().tolist() == [run_id]
            length = table["value"] if experiment == "duration" else 40
            assert np.array_equal(table["stimulus_on"], (table["time_ms"] > 0) & (table["time_ms"] <= length))


def test_measures_are_those_of_the_responses(done: Workflow) -> None:
    """The peak, recomputed from the responses for every condition and layer."""
    responses = {(experiment, run_id): table for experiment, run_id, table in tables(done, "responses")}
    for experiment, run_id, metrics in tables(done, "metrics"):
        assert set(DEFAULT_MEASURES) <= set(metrics["measure"])
        assert sorted(metrics["value"].unique()) == EXPERIMENTS[experiment]
        assert metrics["n_images"].eq(6).all()
        after = responses[experiment, run_id].query("time_ms > 0")
        courses = after.pivot_table(
            index=["value", "layer", "image"], columns="time_ms", values="mean", observed=True
        )
        mean = courses.max(axis=1).groupby(["value", "layer"], observed=True).mean()
        measured = metrics[metrics["measure"] == "peak"].set_index(["value", "layer"])["mean"]
        for cell, value in mean.items():
            assert measured[cell] == pytest.approx(value, rel=1e-4, abs=1e-5), (experiment, cell)


def test_figures(done: Workflow) -> None:
    names = {"training": list(RUN_FIGURES), **dict.fromkeys(EXPERIMENTS, [*DEFAULT_FIGURES, *SWEEP_FIGURES])}
    for folder, figures in names.items():
        found = {path.name for path in (done.results / "figures" / folder).iterdir()}
        drawn = {f"{figure}.{kind}" for figure in figures for kind in ("png", "svg", "csv")}
        assert found == {*drawn, "figures.json"}
        for figure in figures:
            path = done.results / "figures" / folder / figure
            with Image.open(path.with_suffix(".png")) as image:
                assert min(image.size) > 200 and image.convert("L").getextrema() != (255, 255)
            assert ElementTree.parse(path.with_suffix(".svg")).getroot().tag.endswith("svg")
            assert len(pd.read_csv(path.with_suffix(".csv"))) > 0


def test_drawn_numbers_are_the_means_over_images(done: Workflow) -> None:
    drawn = pd.read_csv(done.results / "figures" / "contrast" / "responses.csv")
    assert {"layer", "time_ms", "value", "mean"} <= set(drawn)
    assert sorted(drawn["value"].unique()) == EXPERIMENTS["contrast"]
    wanted: dict[str, Any] = {}
    for experiment, run_id, table in tables(done, "responses"):
        if experiment == "contrast":
            wanted[run_id] = table.groupby(["value", "layer", "time_ms"], observed=True)["mean"].mean()
    ours = sorted(round(value, 4) for means in wanted.values() for value in means)
    assert sorted(round(value, 4) for value in drawn["mean"]) == pytest.approx(ours, abs=2e-4)


def test_the_report_needs_no_other_file(done: Workflow) -> None:
    report = (done.results / "report.html").read_text()
    assert report.rstrip().endswith("</html>")
    assert report.count("data:image/") + report.count("<svg") >= 7
    assert not re.search(r'(?:src|href)="(?!data:|#)', report)
    for run_id in done.runs:
        assert run_id in report
    assert "contrast" in report and "duration" in report


def test_every_job_has_a_log_and_a_benchmark(done: Workflow) -> None:
    logs = {
        path.relative_to(done.results / "logs").with_suffix("")
        for path in (done.results / "logs").rglob("*.log")
    }
    benchmarks = done.results / "benchmarks"
    assert logs == {path.relative_to(benchmarks).with_suffix("") for path in benchmarks.rglob("*.tsv")}
    assert len(logs) == 24
    for run_id in done.runs:
        assert "test accuracy" in (done.results / "logs" / "train" / f"{run_id}.log").read_text()


def test_nothing_is_left_over(done: Workflow) -> None:
    assert list(done.results.rglob(".*")) == []


def test_the_second_call_has_nothing_to_do(done: Workflow) -> None:
    outcome = done.plan()
    assert outcome.status == 0
    assert "Nothing to be done (all requested files are present and up to date)." in outcome.said
