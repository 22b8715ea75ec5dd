"""The commands analyse and plot, from files to files."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from dynvision.cli import main
from dynvision.config import to_yaml
from tests.analysis.example_tables import example_tables

EXPERIMENT = "name: contrast\nparameter: contrast\nvalues: [0.5, 1]\nrecorded_ms: 80\n"


@pytest.fixture
def inputs(tmp_path, run):
    """Files of two runs; returns the options by name."""
    options = {name: [] for name in ("configs", "responses", "performance", "metrics", "training")}
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    for number, config in enumerate([run(), run(tau=9.0)]):
        folder = tmp_path / config.run_id
        folder.mkdir()
        (folder / "config.yaml").write_text(to_yaml(config))
        responses, performance = example_tables(
            config.run_id, values=(0.5, 1.0), n_images=6, tau=5.0 + number
        )
        responses.to_parquet(folder / "responses.parquet")
        performance.to_parquet(folder / "performance.parquet")
        epochs = {"epoch": [0, 1], "seconds": [1.0, 1.0], "learning_rate": [0.1, 0.1]}
        for split in ("train", "val"):
            epochs |= {f"{split}_loss": [2.0, 1.0], f"{split}_accuracy": [0.2, 0.6]}
        pd.DataFrame(epochs).to_csv(folder / "training.csv", index=False)
        assert main(analyse(tmp_path, folder)) == 0
        options["configs"].append(folder / "config.yaml")
        options["training"].append(folder / "training.csv")
        for name in ("responses", "performance", "metrics"):
            options[name].append(folder / f"{name}.parquet")
    return options


def analyse(base, folder):
    files = {name: str(folder / f"{name}.parquet") for name in ("responses", "performance", "metrics")}
    return [
        "analyse", "--experiment", str(base / "experiment.yaml"), "--responses", files["responses"],
        "--performance", files["performance"], "--output", files["metrics"],
    ]  # fmt: skip


def plot(base, options):
    words = ["plot", "--experiment", str(base / "experiment.yaml"), "--output-dir", str(base / "figures")]
    for name in ("configs", "responses", "performance", "metrics"):
        words += [f"--{name}", *map(str, options[name])]
    return words


def test_plot_writes_three_files_a_figure(inputs, tmp_path):
    assert main(plot(tmp_path, inputs)) == 0
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {
        f"{name}.{kind}"
        for name in ("responses", "measures", "performance")
        for kind in ("png", "svg", "csv")
    }
    written = pd.read_csv(tmp_path / "figures" / "measures.csv")
    metrics = pd.concat([pd.read_parquet(path) for path in inputs["metrics"]])
    np.testing.assert_allclose(np.sort(written["mean"]), np.sort(metrics["mean"]), rtol=1e-12)
    assert set(written["condition"]) == {"tau = 5 ms", "tau = 9 ms"}


def test_plot_of_training(inputs, tmp_path):
    words = ["plot", "--training", *map(str, inputs["training"]), "--output-dir", str(tmp_path)]
    assert main([*words, "--configs", *map(str, inputs["configs"])]) == 0
    assert set(pd.read_csv(tmp_path / "training.csv")["condition"]) == {"tau = 5 ms", "tau = 9 ms"}
    assert (tmp_path / "training.svg").stat().st_size > 0


def test_wrong_calls_are_one_sentence(inputs, tmp_path, capsys, run):
    def fails(words, sentence):
        assert main(words) == 2
        message = capsys.readouterr().err
        assert sentence in message and message.count("\n") == 1, message

    fails(
        ["plot", "--configs", str(inputs["configs"][0]), "--output-dir", str(tmp_path)], "either --experiment"
    )
    fails(plot(tmp_path, {**inputs, "responses": inputs["responses"][:1]}), "--responses has no table of run")
    fails(plot(tmp_path, {**inputs, "configs": inputs["configs"][:1]}), "which is not among --configs")
    fails(
        plot(tmp_path, {**inputs, "metrics": inputs["metrics"][:1] * 2}),
        "of which --metrics already has a table",
    )
    fails(plot(tmp_path, {**inputs, "responses": inputs["performance"]}), "lacks the columns layer, mean")
    fails(
        ["plot", "--training", str(inputs["training"][0]), "--output-dir", str(tmp_path)]
        + ["--configs", *map(str, inputs["configs"])],
        "--training has 1 files and --configs 2",
    )
    broken = pd.read_parquet(inputs["responses"][0]).iloc[5:]
    broken.to_parquet(inputs["responses"][0])
    fails(plot(tmp_path, inputs), f"{inputs['responses'][0]}: not one row for each combination")
    fails(analyse(tmp_path, inputs["responses"][0].parent), "responses.parquet and ")


def test_neither_analysis_nor_figures_nor_report_import_torch():
    code = (
        "import sys, dynvision.analysis, dynvision.visualization.experiment_figures, dynvision.cli.analyse, "
        "dynvision.cli.plot, dynvision.cli.report, dynvision.report\n"
        "print([name for name in ('torch', 'pytorch_lightning') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_captions_load_no_plotting_library():
    code = "import sys, dynvision.visualization.captions\nprint('matplotlib' in sys.modules, 'seaborn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
