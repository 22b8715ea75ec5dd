"""A run on a GPU from its images to its answers: training, resume, experiment, dynamics, inference, beside a CPU's."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader, TensorDataset

from dynvision.config.run import RunConfig, read_run_config
from dynvision.models import create
from tests.gpu.device import ACCELERATOR, DEVICE, NEEDS_GPU
from tests.lab import Lab
from tests.processes import Kill

pytestmark = NEEDS_GPU
ON_DEVICE = ("--accelerator", ACCELERATOR)
ON_CPU = ("--accelerator", "cpu")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Lab:
    """One run trained on the GPU ("run") and on a CPU ("cpu"), in 5 steps with an idle time; only to be read."""
    lab = Lab(tmp_path_factory.mktemp("runs"), digits)
    lab.config(model={"args": {"n_timesteps": 5, "t_recurrence": 4, "recurrence_type": "full", "t_idle": 4}})
    for outcome in (
        lab.convert(),
        lab.train(options=ON_DEVICE),
        lab.train(run="cpu", options=ON_CPU),
    ):
        assert outcome.status == 0, outcome.said
    return lab


def log_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "training.csv").drop(columns="seconds")


def test_a_training_is_that_of_a_cpu(runs: Lab) -> None:
    found, expected = log_of(runs.root / "run"), log_of(runs.root / "cpu")
    pd.testing.assert_series_equal(found["train_loss"], expected["train_loss"], rtol=1e-2)
    pd.testing.assert_series_equal(found["learning_rate"], expected["learning_rate"])
    weights, others = (
        torch.cat([value.flatten() for _, value in sorted(load_file(path).items())])
        for path in (runs.root / name / "model.safetensors" for name in ("run", "cpu"))
    )  # all of them: Adam moves a weight whose gradient is zero but for rounding as far as any other
    assert (weights - others).norm() < 0.05 * others.norm()


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed", "64"])
@pytest.mark.skipif(DEVICE == "cpu", reason="of a GPU")
def test_every_precision_trains(runs: Lab, precision: str) -> None:
    config = runs.config(precision, training={"precision": precision, "epochs": 1})
    outcome = runs.train(config, precision, ON_DEVICE)
    assert outcome.status == 0, outcome.said
    assert np.isfinite(log_of(runs.root / precision)["train_loss"]).all()


def test_a_training_that_was_killed_goes_on(runs: Lab) -> None:
    """After its first epoch; the order of the images and the schedule go on, sums differ in their order only."""
    config = runs.root / "config.yaml"
    killed = runs.train(config, "resumed", ON_DEVICE, kill=Kill(1, "last.ckpt"))
    assert killed.status == -signal.SIGKILL, killed.said
    again = runs.train(config, "resumed", ON_DEVICE)
    assert again.status == 0 and "resuming from" in again.said, again.said
    found, expected = log_of(runs.root / "resumed"), log_of(runs.root / "run")
    assert found["epoch"].tolist() == [1, 2, 3]
    pd.testing.assert_series_equal(found["train_loss"], expected["train_loss"], rtol=1e-2)


def test_an_experiment_shows_what_it_does_on_a_cpu(runs: Lab) -> None:
    frozen = runs.experiment()
    tables = {}
    for name, options in {"on device": ON_DEVICE, "on cpu": ON_CPU}.items():
        folder = runs.root / name
        files = {kind: folder / f"{kind}.parquet" for kind in ("responses", "performance")}
        outcome = runs.command(
            *("experiment", "--experiment", frozen, "--config", runs.root / "config.yaml"),
            *("--weights", runs.root / "run" / "model.safetensors", "--data", runs.root / "data"),
            *("--responses", files["responses"], "--performance", files["performance"]),
            *("--loader", "torch", *options),
        )
        assert outcome.status == 0, outcome.said
        tables[name] = [pd.read_parquet(path) for path in files.values()]
    for found, expected in zip(tables["on device"], tables["on cpu"], strict=True):
        assert list(found) == list(expected) and len(found) == len(expected)
        for column in ("mean", "sd", "confidence"):
            if column in found:
                np.testing.assert_allclose(found[column], expected[column], rtol=2e-2, atol=2e-3)


def placed(runs: Lab, tmp_path: Path) -> tuple[Path, str]:
    """The results folder of the run, as the workflow would leave it, and the run's id."""
    config = read_run_config(runs.root / "config.yaml")
    run, data = tmp_path / "runs" / config.run_id, tmp_path / "data" / config.data_id
    shutil.copytree(runs.root / "run", run)
    shutil.copytree(runs.root / "data", data)
    shutil.copy(runs.root / "config.yaml", run)
    return tmp_path, config.run_id


def test_predictions_are_those_of_a_cpu(runs: Lab, tmp_path: Path) -> None:
    results, run_id = placed(runs, tmp_path)
    images = sorted(runs.images.rglob("*.png"))[::6]
    answers = {}
    for device in (DEVICE, "cpu"):
        output = tmp_path / f"{device}.csv"
        outcome = runs.command(
            *("predict", run_id, *images, "--results", results, "--device", device, "--output", output)
        )
        assert outcome.status == 0, outcome.said
        answers[device] = pd.read_csv(output)
    keys = ["image", "time_ms", "class_name"]
    assert answers[DEVICE][keys].equals(answers["cpu"][keys])
    np.testing.assert_allclose(
        answers[DEVICE]["probability"], answers["cpu"]["probability"], rtol=2e-2, atol=2e-3
    )


def test_dynamics_are_measured(runs: Lab, tmp_path: Path) -> None:
    results, run_id = placed(runs, tmp_path)
    outcome = runs.command(
        *("dynamics", run_id, "--results", results, "--n-images", 2, "--loader", "torch", *ON_DEVICE)
    )
    assert outcome.status == 0, outcome.said
    scales = pd.read_parquet(results / "dynamics" / run_id / "timescales.parquet")
    assert set(scales["layer"]) == {"layer1", "layer2"} and (scales["leading_ms"] > 0).all()


def test_the_test_of_a_run_is_that_of_its_weights_on_a_cpu(runs: Lab) -> None:
    from dynvision.data import DataModule
    from dynvision.models.build import build_model
    from dynvision.models.weights import load_weights, read_weights

    config: RunConfig = read_run_config(runs.root / "config.yaml")
    data = DataModule(runs.root / "data", config.data, batch_size=4, loader="torch")
    model = build_model(config, data.input_shape, data.n_classes).eval()
    load_weights(model, read_weights(runs.root / "run" / "model.safetensors")[0], "")
    with torch.no_grad():
        right = [bool(model(x)[0, -1].argmax() == y[0]) for x, y in zip(*_images(data), strict=True)]
    found = json.loads((runs.root / "run" / "test.json").read_text())
    assert found["n_images"] == len(right)
    assert found["test_accuracy"] == pytest.approx(sum(right) / len(right), abs=1.01 / len(right))


def _images(data: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    pairs = [(x[i : i + 1], y[i : i + 1]) for x, y in data.test_dataloader() for i in range(len(y))]
    return [x for x, _ in pairs], [y for _, y in pairs]


@pytest.mark.parametrize("settings", [{}, {"precision": "bf16-mixed"}], ids=str)
def test_a_trainer_of_ones_own_fits_validates_and_predicts(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(10, 1, 8, 8), torch.arange(10) % 3
    data = DataLoader(TensorDataset(images, labels), batch_size=4)
    model = create("DyRCNNx2", input_dims=(4, 1, 8, 8), n_classes=3, loss_reaction_time=2.0)
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = pl.Trainer(accelerator=ACCELERATOR, devices=1, max_steps=6, **quiet, **settings)
    trainer.fit(model, data, data)
    (found,) = trainer.validate(model, data, verbose=False)
    assert trainer.global_step == 6 and np.isfinite(found["val_loss"])
    predicted = torch.cat(trainer.predict(model, data))
    assert predicted.shape == (10, 4, 3) and predicted.isfinite().all()


def test_labels_out_of_range_are_one_sentence_and_leave_the_gpu_usable() -> None:
    from dynvision.errors import InputError

    model = create("DyRCNNx2", input_dims=(4, 1, 8, 8), n_classes=3).to(DEVICE)
    batch = torch.randn(2, 1, 8, 8, device=DEVICE), torch.tensor([0, 3], device=DEVICE)
    with pytest.raises(InputError, match="label 3 is none of the model's 3 classes"):
        model.training_step(batch, 0)
    assert model(batch[0]).isfinite().all()
