"""Every shipped experiment on DyRCNNx2 with digits, from the frozen configuration to the measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.section import validate
from dynvision.config.workflow import load_workflow_config
from dynvision.config.yaml_text import to_yaml
from tests.lab import Lab

EXPERIMENTS = load_workflow_config(Path(__file__).parents[2] / "config").experiments
N_TEST_IMAGES = 6


@pytest.fixture(scope="module")
def kept(trained_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A laboratory with a run that kept the checkpoint of every epoch."""
    root = tmp_path_factory.mktemp("kept")
    for name in ("config.yaml", "data"):
        (root / name).symlink_to(trained_lab.root / name)
    lab = Lab(root, trained_lab.images)
    options = (
        "--data",
        root / "data",
        "--output",
        root / "run",
        "--loader",
        "torch",
        "--checkpoint-every",
        1,
    )
    outcome = lab.command("train", "--config", root / "config.yaml", *options)
    assert outcome.status == 0, outcome.said
    return lab


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment(kept: Lab, name: str) -> None:
    experiment = EXPERIMENTS[name]
    if experiment.parameter == "checkpoint":  # three epochs were trained
        changed = {**experiment.model_dump(), "values": [1, 2, 3]}
        experiment = validate(ExperimentConfig, changed, name)
    file = kept.root / f"{name}.yaml"
    file.write_text(to_yaml({"name": name, **experiment.model_dump(mode="json")}))
    outcome = kept.show(file, tables=name)
    assert outcome.status == 0, outcome.said
    responses, performance = (
        pq.read_table(kept.root / name / f"{table}.parquet").to_pandas()
        for table in ("responses", "performance")
    )
    dt = experiment.model_args.get("dt", 2.0)
    n_steps = round((experiment.baseline_ms + experiment.recorded_ms) / dt)
    assert len(performance) == N_TEST_IMAGES * len(experiment.values) * n_steps
    assert len(responses) == 2 * len(performance)
    assert set(performance["value"]) == {float(value) for value in experiment.values}
    assert performance["time_ms"].min() == dt - experiment.baseline_ms
    assert performance["time_ms"].max() == experiment.recorded_ms
    for value in experiment.values:
        on = performance[performance["value"] == float(value)].groupby("time_ms")["stimulus_on"].first()
        shown = [span.duration_ms for span in experiment.trial(value) if span.show == "image"]
        assert on.sum() * dt == sum(shown)
    assert np.isfinite(responses[["mean", "sd"]].to_numpy()).all()
    assert (responses.loc[responses["stimulus_on"], "mean"] > 0).any()
    assert performance["label_rank"].between(1, 3).all()
    assert performance["entropy_bits"].between(-1e-6, np.log2(3) + 1e-6).all()
    metrics = kept.root / name / "metrics.parquet"
    tables = (
        "--responses",
        metrics.with_name("responses.parquet"),
        "--performance",
        metrics.with_name("performance.parquet"),
    )
    outcome = kept.command(
        "analyse",
        "--experiment",
        file,
        *tables,
        "--output",
        metrics,
        "--summary",
        metrics.with_name("summary.parquet"),
    )
    assert outcome.status == 0, outcome.said
    measured = pq.read_table(metrics).to_pandas()
    assert {"peak", "accuracy_peak"} <= set(measured["measure"]) or "peak" not in experiment.measures
