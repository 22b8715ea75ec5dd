"""A small results folder, made by the commands from example tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis import write_table
from dynvision.analysis.weights import weight_distributions
from dynvision.cli import main
from dynvision.cli.arguments import read_visualization
from dynvision.config import to_yaml
from dynvision.report import write_report
from dynvision.runs import ResultPaths, run_config
from tests.analysis.example_tables import CONTRASTS, DURATIONS, example_tables

LOOK = Path(__file__).parents[2] / "config" / "config_visualization.yaml"
EXPERIMENTS = {
    "contrast": f"parameter: contrast\nvalues: {list(CONTRASTS)}\nrecorded_ms: 80\n",
    "duration": f"parameter: duration_ms\nvalues: {list(DURATIONS)}\nrecorded_ms: 80\nfocus_layer: V2\n"
    "model_args: {t_idle: 40}\n",
}
SWEPT = {"contrast": ("contrast", CONTRASTS), "duration": ("duration_ms", DURATIONS)}


def make_results(root, configs, experiments=tuple(EXPERIMENTS), n_images=12, **kwargs):
    """Write everything that a report reads; returns the run ids."""
    paths = ResultPaths(Path(root))
    for number, config in enumerate(configs):
        folder = paths.run(config.run_id)
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(to_yaml(config))
        test = {"test_accuracy": 0.95 + 0.01 * number, "n_images": 360, "epoch": 7, "seconds": 1.5}
        (folder / "test.json").write_text(json.dumps(test))
        write_training(folder / "training.csv", number)
        write_weights(folder / "weights.parquet", config.run_id, number)
        data = paths.data(config.data_id)
        data.mkdir(parents=True, exist_ok=True)
        manifest = {"counts": {"train": 1294, "val": 143, "test": 360}, "source_sha256": "0123abcd" * 8}
        (data / "manifest.json").write_text(
            json.dumps(manifest | {"class_names": [str(n) for n in range(10)]})
        )
        benchmark = paths.root / "benchmarks" / "train" / f"{config.run_id}.tsv"
        benchmark.parent.mkdir(parents=True, exist_ok=True)
        benchmark.write_text(f"s\th:m:s\tmax_rss\n{61.5 + number}\t0:01:01\t512.25\n")
    for name in experiments:
        write_experiment(paths, name, configs, n_images, **kwargs)
    words = ["--results", str(root), "--visualization", str(LOOK), "--run-ids"]
    words += [config.run_id for config in configs]
    for name in experiments:
        assert main(["plot", "--experiment", name, *words]) == 0
    assert main(["plot", "--training", *words]) == 0
    return [config.run_id for config in configs]


def write_experiment(paths, name, configs, n_images, adapting=True):
    parameter, values = SWEPT[name]
    settings = paths.root / "experiments" / name / "config.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"name: {name}\n{EXPERIMENTS[name]}")
    for number, config in enumerate(configs):
        folder = paths.experiment(name, config.run_id)
        folder.mkdir()
        responses, performance = example_tables(
            config.run_id, name, parameter, values, n_images=n_images, tau=6.0 + 2 * number, adapting=adapting
        )
        responses.to_parquet(folder / "responses.parquet")
        performance.to_parquet(folder / "performance.parquet")
        files = {table: str(folder / f"{table}.parquet") for table in ("responses", "performance", "metrics")}
        words = [
            "--responses",
            files["responses"],
            "--performance",
            files["performance"],
            "--output",
            files["metrics"],
        ]
        assert main(["analyse", "--experiment", str(settings), *words]) == 0


def write_training(path, number):
    table = pd.DataFrame({"epoch": range(8), "learning_rate": 0.002, "seconds": 3.0})
    for split in ("train", "val"):
        table[f"{split}_loss"] = [2.3 / (1 + epoch) for epoch in range(8)]
        table[f"{split}_accuracy"] = [0.9 - 0.8 / (1 + epoch) + 0.01 * number for epoch in range(8)]
    table.to_csv(path, index=False)


def write_weights(path, run_id, number):
    weights = np.random.default_rng(number).normal(size=(2, 400)).astype(np.float32)
    tensors = {"V1.conv.weight": weights, "V1.recurrence.weight": weights / 9, "V2.conv.weight": weights / 3}
    write_table(weight_distributions(tensors, run_id), path)


def make_run(seed=1, model="DyRCNNx4", data="digits", **args):
    return run_config(model, args, data, {}, {"epochs": 8}, seed)


@pytest.fixture(scope="session")
def run():
    """Makes a run's configuration."""
    return make_run


@pytest.fixture(scope="session")
def results():
    """Makes a results folder."""
    return make_results


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Results of two conditions, one of them with two seeds, with a report; and the run ids."""
    root = tmp_path_factory.mktemp("results")
    configs = [make_run(1, recurrence_type="self"), make_run(2, recurrence_type="self")]
    run_ids = make_results(root, [*configs, make_run(recurrence_type="full")])
    write_report(root, ["contrast", "duration"], run_ids, root / "report.html", read_visualization(LOOK))
    return root, run_ids
