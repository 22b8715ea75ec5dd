"""Checkpoints, loggers, and what a training says of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from safetensors import safe_open

from dynvision.config.run import read_run_config, thaw
from tests.lab import Lab


def checkpoint(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def train(lab: Lab, *options: object, **training: Any) -> Any:
    config = lab.config(training=training)
    folders = ("--data", lab.root / "data", "--output", lab.root / "run")
    return lab.command("train", "--config", config, *folders, "--loader", "torch", *options)


def test_every_checkpoint_has_the_full_configuration(lab: Lab) -> None:
    outcome = train(lab, "--checkpoint-every", 2, epochs=5, ema_decay=0.5, best_by="val_accuracy")
    assert outcome.status == 0, outcome.said
    run = read_run_config(lab.root / "config.yaml")
    folder = lab.root / "run" / "checkpoints"
    assert {path.name for path in folder.iterdir()} == {"best.ckpt", "epoch-0002.ckpt", "epoch-0004.ckpt"}
    for path in folder.iterdir():
        content = checkpoint(path)
        assert thaw(yaml.safe_load(content["dynvision"]["config"])) == run
        assert content["dynvision"]["run_id"] == run.run_id
        assert content["dynvision"]["weights"] == "moving average"
    assert checkpoint(folder / "epoch-0004.ckpt")["epoch"] == 3
    log = pd.read_csv(lab.root / "run" / "training.csv")
    best = int(log.loc[log["val_accuracy"].idxmax(), "epoch"])
    summary = json.loads((lab.root / "run" / "test.json").read_text())
    assert checkpoint(folder / "best.ckpt")["epoch"] + 1 == summary["epoch"] == best
    assert summary["weights"] == "moving average"
    with safe_open(str(lab.root / "run" / "model.safetensors"), framework="pt") as file:
        assert file.metadata()["weights"] == "moving average"


def test_terms_of_the_loss_have_columns(lab: Lab) -> None:
    loss = {"CrossEntropyLoss": 2, "ActivityLoss": {"weight": 0.5}, "EnergyLoss": {"weight": 0}}
    assert train(lab, epochs=2, loss=loss).status == 0
    log = pd.read_csv(lab.root / "run" / "training.csv")
    for stage in ("train", "val"):
        total = 2 * log[f"{stage}_CrossEntropyLoss"] + 0.5 * log[f"{stage}_ActivityLoss"]
        pd.testing.assert_series_equal(log[f"{stage}_loss"], total, check_names=False, rtol=1e-5)
    assert (log["train_ActivityLoss"] > 0).all() and "train_EnergyLoss" not in log


def test_few_batches_an_epoch(lab: Lab) -> None:
    outcome = train(lab, epochs=2, limit_batches=2, accumulate_batches=2)
    assert outcome.status == 0, outcome.said
    assert checkpoint(lab.root / "run" / "checkpoints" / "best.ckpt")["global_step"] in (1, 2)


def test_a_scaled_learning_rate_is_said(lab: Lab) -> None:
    outcome = train(
        lab,
        epochs=1,
        learning_rate=0.01,
        learning_rate_scaling="sqrt",
        accumulate_batches=2,
        reference_batch_size=64,
    )
    run_id = read_run_config(lab.root / "config.yaml").run_id
    assert outcome.said.splitlines()[0] == (
        f"{run_id}: learning rate 0.005 = 0.01, scaled (sqrt) from 64 to 16 images per update"
    )


def test_a_loss_that_explodes_leaves_earlier_checkpoints_alone(lab: Lab) -> None:
    exploding = {
        "scheduler": "ExponentialLR",
        "scheduler_args": {"gamma": 1e30},
        "gradient_clip": 0,
        "epochs": 5,
    }
    outcome = train(lab, learning_rate=1e-12, optimizer="SGD", **exploding)
    assert outcome.status == 2
    said = outcome.said.splitlines()[-1]
    assert said.startswith("dynvision train: training stops in epoch ") and "since the loss is " in said
    assert "checkpoints written before are kept" in said and "Traceback" not in outcome.said
    epoch = int(said.partition("in epoch ")[2].partition(",")[0])
    assert epoch > 1
    for name in ("best.ckpt", "last.ckpt"):
        weights = checkpoint(lab.root / "run" / "checkpoints" / name)["state_dict"]
        assert all(value.isfinite().all() for value in weights.values())
    assert checkpoint(lab.root / "run" / "checkpoints" / "last.ckpt")["epoch"] + 1 == epoch - 1
    assert math.isfinite(pd.read_csv(lab.root / "run" / "training.csv")["val_loss"].iloc[-1])
    assert not (lab.root / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("logger", ["none", "csv"])
def test_the_table_is_written_in_any_case(lab: Lab, logger: str) -> None:
    assert train(lab, "--logger", logger, epochs=1).status == 0
    assert len(pd.read_csv(lab.root / "run" / "training.csv")) == 1
    assert {path.name for path in (lab.root / "run").iterdir()} == {
        "checkpoints",
        "model.safetensors",
        "test.json",
        "trained.json",
        "training.csv",
    }


def test_tensorboard_is_used_where_it_is_installed(lab: Lab) -> None:
    outcome = train(lab, "--logger", "tensorboard", epochs=1)
    try:
        import tensorboard  # noqa: F401
    except ModuleNotFoundError:
        assert (outcome.status, outcome.said) == (
            2,
            "dynvision train: execution.logger=tensorboard, but tensorboard is not installed; "
            "run 'pip install tensorboard', or set it to csv\n",
        )
    else:
        assert outcome.status == 0
        assert list((lab.root / "run" / "tensorboard").glob("events.*"))


def test_a_monitored_quantity_that_no_layer_has_is_one_sentence(lab: Lab) -> None:
    config = lab.config(
        model={"args": {"recurrence_type": "none", "n_timesteps": 3}},
        training={"loss": {"ActivityLoss": {"monitor": "recurrent"}}},
    )
    outcome = lab.train(config)
    assert (outcome.status, outcome.said) == (
        2,
        "dynvision train: ActivityLoss monitors 'recurrent', which no layer of this model has in a trial of 3 steps; "
        "change monitor or layers in training.loss\n",
    )
