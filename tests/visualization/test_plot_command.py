"""The commands analyse and plot, from files to files."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from dynvision.cli import main
from dynvision.config import to_yaml
from dynvision.config.visualization import EXPERIMENT_FIGURES, FIGURES
from dynvision.runs import ResultPaths
from tests.analysis.example_tables import example_tables

EXPERIMENT = "name: contrast\nparameter: contrast\nvalues: [0.5, 1]\nrecorded_ms: 80\n"
OF_EXPERIMENT = ("dynamics", "responses", "measures", "performance", "confusion")


@pytest.fixture(scope="module")
def analysed(tmp_path_factory, run):
    """A results folder with the tables of two runs, only to be copied; returns it and the run ids."""
    paths = ResultPaths(tmp_path_factory.mktemp("analysed") / "results")
    settings = paths.root / "experiments" / "contrast" / "config.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(EXPERIMENT)
    configs = [run(), run(tau=9.0)]
    for number, config in enumerate(configs):
        folder, tables = paths.run(config.run_id), paths.experiment("contrast", config.run_id)
        folder.mkdir(parents=True)
        tables.mkdir(parents=True)
        (folder / "config.yaml").write_text(to_yaml(config))
        responses, performance = example_tables(
            config.run_id, values=(0.5, 1.0), n_images=6, tau=5.0 + number
        )
        responses.to_parquet(tables / "responses.parquet")
        performance.to_parquet(tables / "performance.parquet")
        epochs = {"epoch": [0, 1], "seconds": [1.0, 1.0], "learning_rate": [0.1, 0.1]}
        for split in ("train", "val"):
            epochs |= {f"{split}_loss": [2.0, 1.0], f"{split}_accuracy": [0.2, 0.6]}
        pd.DataFrame(epochs).to_csv(folder / "training.csv", index=False)
        weights = np.random.default_rng(number).normal(size=(4, 3, 2, 2)).astype(np.float32)
        save_file(
            {"V1.conv.weight": weights, "V1.recurrence.weight": weights / 9}, folder / "model.safetensors"
        )
        assert main(weigh(folder)) == 0
        assert main(analyse(settings, tables)) == 0
    return paths, [config.run_id for config in configs]


@pytest.fixture
def results(analysed, tmp_path):
    """A results folder of one's own."""
    paths, run_ids = analysed
    return ResultPaths(shutil.copytree(paths.root, tmp_path / "results")), run_ids


def analyse(settings, folder):
    files = {name: str(folder / f"{name}.parquet") for name in ("responses", "performance", "metrics")}
    return [
        "analyse", "--experiment", str(settings), "--responses", files["responses"],
        "--performance", files["performance"], "--output", files["metrics"],
    ]  # fmt: skip


def weigh(folder):
    return [
        "weights", "distributions", "--weights", str(folder / "model.safetensors"), "--config", str(folder / "config.yaml"),
        "--output", str(folder / "weights.parquet"),
    ]  # fmt: skip


def plot(paths, *words):
    return ["plot", "--results", str(paths.root), *words]


def test_plot_draws_as_the_workflow_did(results):
    paths, _ = results
    (paths.root / "visualization.yaml").write_text("figures: {default: [responses]}\n")
    assert main(plot(paths, "--experiment", "contrast")) == 0
    assert {path.stem for path in paths.figures("contrast").glob("*.png")} == {"responses", "overview"}


def test_plot_writes_three_files_a_figure(results):
    paths, run_ids = results
    assert main(plot(paths, "--experiment", "contrast")) == 0
    folder = paths.figures("contrast")
    names = {path.name for path in folder.iterdir()}
    figures = (*OF_EXPERIMENT, "overview")  # the runs are a sweep
    drawn = {f"{name}.{kind}" for name in figures for kind in ("png", "svg", "csv")}
    assert names == {*drawn, "figures.json"}
    written = pd.read_csv(folder / "measures.csv")
    metrics = pd.concat(
        [pd.read_parquet(paths.experiment("contrast", run_id) / "metrics.parquet") for run_id in run_ids]
    )
    np.testing.assert_allclose(np.sort(written["mean"]), np.sort(metrics["mean"]), rtol=1e-12)
    assert set(written["condition"]) == {"tau = 5 ms", "tau = 9 ms"}


def test_plot_of_some_figures_of_one_run(results, tmp_path):
    paths, run_ids = results
    words = ("--experiment", "contrast", "--run-ids", run_ids[0], "--figures", "robustness", "classifier")
    assert main(plot(paths, *words, "--output-dir", str(tmp_path / "some"))) == 0
    assert {path.stem for path in (tmp_path / "some").glob("*.png")} == {"robustness", "classifier"}
    assert set(pd.read_csv(tmp_path / "some" / "robustness.csv")["condition"]) == {"DyRCNNx4"}


def test_the_configuration_says_which_figures(results, tmp_path):
    paths, run_ids = results
    (tmp_path / "look.yaml").write_text("figures: {contrast: [measures], default: []}\n")
    words = (
        "--experiment",
        "contrast",
        "--run-ids",
        run_ids[0],
        "--visualization",
        str(tmp_path / "look.yaml"),
    )
    assert main(plot(paths, *words)) == 0
    assert {path.stem for path in paths.figures("contrast").glob("*.png")} == {"measures"}


def test_plot_of_training_and_weights(results):
    paths, _ = results
    assert main(plot(paths, "--training")) == 0
    folder = paths.figures("training")
    assert set(pd.read_csv(folder / "training.csv")["condition"]) == {"tau = 5 ms", "tau = 9 ms"}
    weights = pd.read_csv(folder / "weights.csv")
    assert set(weights["connection"]) == {"feedforward", "recurrence"}
    assert weights.groupby(["condition", "connection"])["n_in_bin"].sum().tolist() == [48] * 4
    assert (folder / "weights.svg").stat().st_size > 0


def test_the_twin_is_drawn_where_it_was_run(results, run):
    paths, run_ids = results
    settings = paths.root / "experiments" / "contrastffonly" / "config.yaml"
    for run_id in run_ids:
        folder = paths.experiment("contrastffonly", run_id)
        folder.mkdir(parents=True)
        _, performance = example_tables(run_id, "contrastffonly", values=(0.5, 1.0), n_images=6, tau=20.0)
        performance.to_parquet(folder / "performance.parquet")
    settings.write_text(EXPERIMENT.replace("name: contrast", "name: contrastffonly"))
    assert main(plot(paths, "--experiment", "contrast", "--figures", "robustness")) == 0
    assert set(pd.read_csv(paths.figures("contrast") / "robustness.csv")["network"]) == {
        "as trained",
        "feedforward only",
    }


def test_wrong_calls_are_one_sentence(results, capsys):
    paths, run_ids = results

    def fails(words, sentence):
        assert main(words) == 2
        message = capsys.readouterr().err
        assert sentence in message and message.count("\n") == 1, message

    of_contrast = plot(paths, "--experiment", "contrast")
    fails(
        [*of_contrast, "--figures", "measurez"],
        "unknown figure 'measurez' (key --figures); did you mean 'measures'?",
    )
    fails(plot(paths, "--training", "--figures", "responses"), "unknown figure 'responses'")
    fails(
        plot(paths, "--experiment", "duration"),
        "experiments/duration has a metrics.parquet; run the workflow first",
    )
    fails([*of_contrast, "--run-ids", "nothing"], "nothing/config.yaml does not exist")
    first, second = (paths.experiment("contrast", run_id) for run_id in run_ids)
    (second / "metrics.parquet").rename(second / "kept")
    fails([*of_contrast, "--run-ids", *run_ids], "metrics.parquet does not exist")
    (second / "metrics.parquet").write_bytes((first / "metrics.parquet").read_bytes())
    fails(of_contrast, f"metrics.parquet is of run {run_ids[0]}, not of {run_ids[1]}")
    (second / "kept").rename(second / "metrics.parquet")
    kept = (first / "responses.parquet").read_bytes()
    (first / "responses.parquet").write_bytes((first / "performance.parquet").read_bytes())
    fails(of_contrast, "lacks the columns layer, mean")
    (first / "responses.parquet").write_bytes(kept)
    pd.read_parquet(first / "responses.parquet").iloc[5:].to_parquet(first / "responses.parquet")
    fails(of_contrast, f"{first / 'responses.parquet'}: not one row for each combination")
    fails(analyse(paths.root / "experiments" / "contrast" / "config.yaml", first), "responses.parquet and ")


def test_weights_that_cannot_be_used_are_one_sentence(results, capsys):
    paths, run_ids = results
    folder = paths.run(run_ids[0])
    weights = folder / "model.safetensors"
    for content, sentence in ((b"no", "cannot be read"), (None, "do not exist; train the run first")):
        weights.unlink() if content is None else weights.write_bytes(content)
        assert main(weigh(folder)) == 2
        message = capsys.readouterr().err
        assert sentence in message and message.count("\n") == 1, message
    save_file({"a.weight": np.ones((2, 2), np.float32)}, weights, metadata={"run_id": "another"})
    assert main(weigh(folder)) == 2
    assert "are of run another, not of" in capsys.readouterr().err


def test_neither_analysis_nor_figures_nor_report_import_torch():
    code = (
        "import sys, dynvision.analysis, dynvision.visualization.dynamics, dynvision.cli.stages, "
        "dynvision.cli.figures, dynvision.report\n"
        "print([name for name in ('torch', 'pytorch_lightning') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_load_no_plotting_library():
    imported = "import sys, dynvision.visualization.tables, dynvision.report.page"
    code = f"{imported}\nprint('matplotlib' in sys.modules, 'seaborn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_a_figure_that_has_a_name_only_is_one_sentence(results, capsys, monkeypatch):
    monkeypatch.setitem(EXPERIMENT_FIGURES, "mine", "a figure of one's own")
    FIGURES.add("mine", "dynvision.visualization.mine:draw_mine")
    try:
        words = ["plot", "--experiment", "contrast", "--results", str(results[0].root), "--figures", "mine"]
        assert main(words) == 2
    finally:
        FIGURES.remove("mine")
    said = capsys.readouterr().err
    assert "dynvision/visualization/mine.py has no draw_mine" in said and said.count("\n") == 1
