"""A training equals a plain loop in PyTorch that knows nothing of Lightning."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dynvision.base.optimization import Epoch
from dynvision.config.run import RunConfig, read_run_config
from dynvision.data import DataModule
from dynvision.models.build import build_model
from tests.lab import Lab

SETTINGS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "accumulation": {"accumulate_batches": 2, "optimizer": "SGD", "optimizer_args": {"momentum": 0.5}},
    "warm-up and a schedule by epochs": {
        "epochs": 3,
        "warmup_epochs": 1.0,
        "scheduler": "StepLR",
        "scheduler_args": {"step_size": 1, "gamma": 0.3},
        "gradient_clip": 0.01,
    },
    "moving average": {"ema_decay": 0.8, "scheduler": "none", "weight_decay": 0.01, "optimizer": "AdamW"},
    "few batches": {"limit_batches": 2, "learning_rate_scaling": "linear", "reference_batch_size": 16},
}


@pytest.mark.parametrize("training", SETTINGS.values(), ids=SETTINGS)
def test_a_training_is_a_plain_loop(lab: Lab, training: dict[str, Any]) -> None:
    path = lab.config(training={"epochs": 2, "batch_size": 8, "scheduler": "OneCycleLR", **training})
    outcome = lab.train(path)
    assert outcome.status == 0, outcome.said
    run = read_run_config(path)
    data = DataModule(lab.root / "data", run.data, batch_size=8, loader="torch", seed=run.seed)
    torch.manual_seed(run.seed)
    model = build_model(run, data.input_shape, data.n_classes)
    averaged = plain_loop(model, data, run)
    last = torch.load(lab.root / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert last["epoch"] + 1 == run.training.epochs, "the test needs a training whose last epoch is its best"
    if run.training.ema_decay:
        ours = last["current_model_state"]
        for name, value in load_file(lab.root / "run" / "model.safetensors").items():
            torch.testing.assert_close(value, averaged[name], rtol=1e-5, atol=1e-7, msg=name)
    else:
        ours = load_file(lab.root / "run" / "model.safetensors")
    for name, value in model.state_dict().items():
        torch.testing.assert_close(ours[name], value, rtol=1e-5, atol=1e-7, msg=name)


def plain_loop(model: Any, data: DataModule, run: RunConfig) -> dict[str, torch.Tensor]:
    """Train; returns the moving average of the weights."""
    t = run.training
    n_batches = len(data.train_dataloader())
    per_epoch = min(n_batches, t.limit_batches or n_batches)
    updates = t.epochs * math.ceil(per_epoch / t.accumulate_batches)
    slow = [p for n, p in model.named_parameters() if "recurrence" in n]
    fast = [p for n, p in model.named_parameters() if "recurrence" not in n]
    rate = t.learning_rate * t.batch_size / 16 if t.learning_rate_scaling == "linear" else t.learning_rate
    groups = [{"params": fast, "lr": rate}, {"params": slow, "lr": 0.2 * rate}]
    optimizer = getattr(torch.optim, t.optimizer)(groups, weight_decay=t.weight_decay, **t.optimizer_args)
    average: dict[str, torch.Tensor] = {}
    done = 0
    cycle = (
        torch.optim.lr_scheduler.OneCycleLR(optimizer, [rate, 0.2 * rate], total_steps=updates)
        if t.scheduler == "OneCycleLR"
        else None
    )
    for epoch in range(t.epochs):
        batches = _epoch_batches(data, epoch)[:per_epoch]
        for first in range(0, per_epoch, t.accumulate_batches):
            group = batches[first : first + t.accumulate_batches]
            images, labels = (torch.cat(parts) for parts in zip(*group, strict=True))
            if t.scheduler == "StepLR":  # by hand: a linear warm-up, then a factor an epoch
                warm = round(t.warmup_epochs * per_epoch)
                factor = (
                    (1 + done * (1 - 1 / warm)) / warm if done < warm else 0.3 ** ((done - warm) // per_epoch)
                )
                for param_group, base in zip(optimizer.param_groups, (rate, 0.2 * rate), strict=True):
                    param_group["lr"] = base * factor
            optimizer.zero_grad()
            logits = model(images)
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), labels[:, None].expand(-1, logits.shape[1]).flatten()
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), t.gradient_clip)
            optimizer.step()
            if cycle is not None:
                cycle.step()
            done += 1
            for name, value in model.state_dict().items():
                d = t.ema_decay
                average[name] = d * average[name] + (1 - d) * value if name in average else value.clone()
    assert done == updates
    return average


def _epoch_batches(data: DataModule, epoch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    loader = data.train_dataloader()
    loader.set_epoch(epoch)
    return list(loader)


@pytest.mark.parametrize(
    ("n_images", "batch_size", "accumulate"),
    [(27, 8, 1), (27, 8, 2), (27, 8, 3), (27, 8, 5), (32, 8, 2), (5, 8, 2)],
)
def test_every_image_of_an_update_weighs_the_same(n_images: int, batch_size: int, accumulate: int) -> None:
    """A batch is a mean over its images and Lightning divides by the batches of an update: undone for each image."""
    epoch = Epoch(n_images, batch_size, accumulate)
    owner = np.arange(n_images) // batch_size  # batch of each image
    for update in range(math.ceil((owner[-1] + 1) / accumulate)):
        batches = [b for b in range(update * accumulate, (update + 1) * accumulate) if b <= owner[-1]]
        weights = [
            epoch.weight(b) / accumulate / (owner == b).sum()
            for b in batches
            for _ in range((owner == b).sum())
        ]
        assert weights == pytest.approx([1 / len(weights)] * len(weights))


def test_batches_of_two_make_one(lab: Lab, tmp_path: Path) -> None:
    """27 images in batches of 4, two an update, or of 8: the same updates, the last one of 3 images included."""
    results = []
    for name, sizes in {"one": {"batch_size": 8}, "two": {"batch_size": 4, "accumulate_batches": 2}}.items():
        config = lab.config(name, training={"epochs": 2, "optimizer": "SGD", "learning_rate": 0.1, **sizes})
        assert lab.train(config, name).status == 0
        results.append(load_file(lab.root / name / "model.safetensors"))
    one, two = results
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)
