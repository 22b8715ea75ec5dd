"""What a plan will cost: from finished jobs, scaled by their work, or else from the size of the model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dynvision.runs import WorkflowPlan, plan_workflow
from dynvision.runs.forecast import DIGITS, SECONDS, Forecast, Planned, forecast, forecast_text
from tests.workflow.conftest import REPOSITORY, Workflow


def plan(folder: Path, **config: Any) -> WorkflowPlan:
    settings = {"model_name": "DyRCNNx4", "experiment": "contrast", "results_dir": str(folder), **config}
    return plan_workflow(REPOSITORY / "config", settings)


def benchmark(path: Path, seconds: float, mem_mb: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t{mem_mb}\n")


def convert(made: WorkflowPlan, train: int, test: int) -> None:
    """Stand for converted data: a manifest with so many images."""
    for run in made.runs.values():
        path = made.paths.data(run.data_id) / "manifest.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        sizes = {"train": {"indices": [*range(train)]}, "test": {"indices": [*range(test)]}}
        path.write_text(json.dumps({"class_names": [], **sizes}))


def test_without_finished_jobs_the_size_of_the_model_counts(tmp_path: Path) -> None:
    made = plan(tmp_path, training={"epochs": 4})
    [run_id] = made.runs
    [row] = forecast([Planned("train", {"run_id": run_id}, 3500)], made)
    work = 1.0 * 20 * 32**2 / (20 * 64**2) * 4 * DIGITS  # size of DyRCNNx4, 20 steps at 32 px, epochs, images
    assert row.seconds == pytest.approx(work * SECONDS["train"])
    assert (row.kind, row.n_jobs, row.mem_mb, row.source) == ("train", 1, 3500, "the model's size")
    convert(made, 1000, 100)
    [row] = forecast([Planned("train", {"run_id": run_id})], made)
    assert row.seconds == pytest.approx(work * SECONDS["train"] * 1000 / DIGITS)


def test_finished_jobs_count_by_their_work(tmp_path: Path) -> None:
    """Twice the epochs take twice as long; memory is the largest measured. Another model counts if this one has none."""
    short, long = plan(tmp_path, training={"epochs": 2}), plan(tmp_path, training={"epochs": 4})
    other = plan(tmp_path, model_name="DyRCNNx2", training={"epochs": 2})
    both = WorkflowPlan(
        {**short.runs, **long.runs, **other.runs}, long.experiments, long.workflow, long.paths
    )
    [of_short], [of_long], [of_other] = short.runs, long.runs, other.runs
    folder = tmp_path / "benchmarks" / "train"
    benchmark(folder / f"{of_other}.tsv", 50.0, 5000.0)
    [row] = forecast([Planned("train", {"run_id": of_long}, 3500)], both)
    assert (
        row.seconds == pytest.approx(50.0 * 2 / 0.5) and row.mem_mb == 5000.0
    )  # x2 is half the size, half the epochs
    benchmark(folder / f"{of_short}.tsv", 100.0, 900.0)
    (folder / "broken.tsv").write_text("s\n")
    [row] = forecast([Planned("train", {"run_id": of_long}, 3500)], both)
    assert row.seconds == pytest.approx(200.0) and row.mem_mb == 900.0 and row.source == "1 finished"


def test_an_experiment_costs_by_values_time_and_images(tmp_path: Path) -> None:
    made = plan(tmp_path, experiment=["contrast", "duration"])
    [run_id] = made.runs
    jobs = [
        Planned("experiment", {"run_id": run_id, "experiment": name}) for name in ("contrast", "duration")
    ]
    rows = {row.kind: row for row in forecast(jobs, made)}
    work = {
        name: len(one.values) * (one.baseline_ms + one.recorded_ms) for name, one in made.experiments.items()
    }
    assert rows["experiment duration"].seconds is not None and rows["experiment contrast"].seconds is not None
    ratio = rows["experiment duration"].seconds / rows["experiment contrast"].seconds
    assert ratio == pytest.approx(work["duration"] / work["contrast"])
    benchmark(tmp_path / "benchmarks" / "experiment" / "contrast" / f"{run_id}.tsv", 12.5, 1500.0)
    rows = {row.kind: row for row in forecast(jobs, made)}
    assert rows["experiment contrast"].seconds == 12.5
    assert rows["experiment duration"].source == "the model's size"  # another experiment tells nothing of it


def test_data_of_unknown_size_have_no_time(tmp_path: Path, digits: Path) -> None:
    made = plan(tmp_path, data_name=f"folder:{digits}")
    [run_id] = made.runs
    [row] = forecast([Planned("train", {"run_id": run_id}, 3500)], made)
    assert row.seconds is None and "not converted" in row.source
    text = forecast_text([row, Forecast("report", 1, 5.0, 500.0, "typical")], 1)
    assert re.search(r"^train +1 +\? +\? +3\.5 GB", text, re.MULTILINE)
    assert re.search(r"^in all +2 +> 5 s +3\.5 GB$", text, re.MULTILINE)


def test_a_dry_run_ends_with_the_table(workflow: Workflow) -> None:
    said = workflow.plan("-n").said
    _, _, table = said.partition("This was a dry-run")
    assert "dynvision: 2 runs; estimated" in table
    counts = dict(re.findall(r"^([a-z_]+(?: \w+)?) +(\d+) .* GB", table, re.MULTILINE))
    assert counts["train"] == "2" and counts["experiment contrast"] == counts["experiment duration"] == "2"
    assert re.search(r"^in all +\d+ ", table, re.MULTILINE)
