"""Monitoring: NaN and infinity by name and time, statistics of parameters, and trainings that stop in words."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset

from dynvision.base import LightningOnlyModel, MonitoredModel
from dynvision.base.monitoring import ActivityCheck
from dynvision.errors import InputError
from tests.base.networks import Chain
from tests.base.three_areas import Small, images, small

NOT_FINITE = [math.nan, math.inf, -math.inf]


class MonitoredChain(Chain, MonitoredModel):
    """The chain of three single units, monitored, without Lightning."""


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", NOT_FINITE)
def test_weights_that_are_not_finite_are_named(value, recwarn):
    model = small()
    model._check_weights(raise_error=True)
    with torch.no_grad():
        model.V2.conv2.weight[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=r"weights: V2\.conv2\.weight holds values that are not finite$"):
        model._check_weights(raise_error=True)
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"V2\.conv2\.weight"):
        model._check_weights()


def test_weights_of_another_dtype_are_named():
    model = small()
    model.V2.float()
    with pytest.raises(InputError, match=r"V2\.conv\.weight is torch\.float32 instead of torch\.float64"):
        model._check_weights(raise_error=True)


# --- activity --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def first_not_finite(model, video):
    check = ActivityCheck()
    model(video, observer=check)
    return check.where(model.dt)


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("block_steps", [None, 1, 4])
def test_first_activity_that_is_not_finite_is_named_with_its_time(value, block_steps):
    """A value enters A at step 3 and reaches B two steps and C four steps later: A at 8 ms is the first."""
    model = MonitoredChain(input_dims=(8, 1, 1, 1), t_feedforward=4.0, block_steps=block_steps)
    video = torch.zeros(2, 8, 1, 1, 1, dtype=torch.float64)
    assert not first_not_finite(model, video)
    video[1, 3] = value
    assert first_not_finite(model, video) == "layer A at 8 ms"


@pytest.mark.parametrize("block_steps", [None, 1, 4])
def test_time_comes_before_the_order_of_layers(block_steps):
    """C overflows in the first step of the skip; what that does to A comes later, by feedback."""
    model = MonitoredChain(
        input_dims=(8, 1, 1, 1), t_feedforward=8.0, t_skip=2.0, t_feedback=4.0, block_steps=block_steps
    )
    with torch.no_grad():
        model.C.conv.bias.fill_(math.inf)
    # C starts by the skip without its own convolution, which A's signal reaches after 8 steps.
    image = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    assert first_not_finite(model, image.unsqueeze(1).expand(-1, 12, -1, -1, -1)) == "layer C at 18 ms"


# --- statistics ------------------------------------------------------------------------------------------------------


def test_statistics_are_printed_and_returned(capsys):
    model = MonitoredChain(input_dims=(2, 1, 1, 1), bias=-0.5)
    stats = model.log_param_stats(section="weights", metrics=["min", "norm"])
    assert stats["weights/B.conv.weight_min"] == 1
    assert stats["weights/B.conv.bias_min"] == -0.5
    assert stats["weights/B.conv.bias_norm"] == 0.5
    assert len(stats) == 2 * 8
    assert "weights/B.conv.bias_norm 0.5\n" in capsys.readouterr().out
    assert list(model.log_param_stats())[:3] == [
        f"params/A.conv.weight_{metric}" for metric in ("min", "max", "norm")
    ]
    with pytest.raises(InputError, match="unknown metric 'median'"):
        model.log_param_stats(metrics=["median"])


def loader(n=8, image=None):
    x = images(n, 2, 8, 8).float()
    if image is not None:
        x[:] = image
    return DataLoader(TensorDataset(x, torch.arange(n) % 3), batch_size=4)


def trainer(**arguments):
    settings = {
        "max_epochs": 2,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    return pl.Trainer(**{**settings, **arguments})


def small_model(**arguments):
    torch.manual_seed(0)
    return Small(input_dims=(5, 2, 8, 8), n_classes=3, **arguments)


def test_statistics_go_to_the_logger_of_a_trainer(tmp_path, capsys):
    model = small_model(log_every_n_steps=2)
    quiet = trainer(logger=CSVLogger(tmp_path), log_every_n_steps=1)
    quiet.fit(model, loader(12))
    quiet.logger.save()
    rows = pd.read_csv(Path(quiet.logger.log_dir) / "metrics.csv")
    name = "params/V1.conv.weight_norm"
    assert rows.loc[rows[name].notna(), "step"].tolist() == [2, 4, 6]
    assert rows[name].dropna().iloc[-1] == pytest.approx(model.V1.conv.weight.norm().item(), rel=1e-5)
    assert name not in capsys.readouterr().out
    assert small_model().log_param_stats()[name] > 0
    assert name in capsys.readouterr().out  # there is no trainer


# --- a loss that is not finite ---------------------------------------------------------------------------------------


class Overflowing(Small):
    """In one training step of one epoch, weights of V2 that overflow in the activity."""

    def on_train_batch_start(self, batch, batch_idx):
        super().on_train_batch_start(batch, batch_idx)
        if (self.current_epoch, batch_idx) == (1, 1):
            with torch.no_grad():
                for weight in (self.V1.conv.weight, self.V2.conv.weight, self.V2.conv2.weight):
                    weight.fill_(1e18)


def overflowing(**arguments):
    torch.manual_seed(0)
    return Overflowing(input_dims=(5, 2, 8, 8), n_classes=3, recurrence_type="none", skip=False, **arguments)


@pytest.mark.parametrize("t_feedforward", [0.0, 4.0])
def test_a_loss_that_is_not_finite_stops_with_layer_and_time(t_feedforward, tmp_path):
    """V1 is about 1e18, V2 would be 1e54: it overflows as soon as V1 arrives there."""
    checkpoint = ModelCheckpoint(tmp_path, save_top_k=-1, filename="{epoch}")
    model = overflowing(t_feedforward=t_feedforward)
    with pytest.raises(InputError) as caught:
        trainer(callbacks=[checkpoint], enable_checkpointing=True).fit(model, loader(8, image=1.0))
    assert str(caught.value) == (
        "training stops in epoch 2, step 4, since the loss is nan: the first activity that is not finite is in layer V2 at "
        f"{t_feedforward + 2:g} ms; checkpoints written before are kept; lower the learning_rate"
    )
    kept = list(tmp_path.glob("*.ckpt"))
    assert [path.name for path in kept] == ["epoch=0.ckpt"]
    weights = torch.load(kept[0], weights_only=True)["state_dict"]
    assert all(values.isfinite().all() for values in weights.values())


class Spoiling(Small):
    """An optimiser step that leaves NaN behind."""

    def on_train_batch_end(self, outputs, batch, batch_idx):
        super().on_train_batch_end(outputs, batch, batch_idx)
        with torch.no_grad():
            self.V2.conv2.bias[0] = math.nan


def test_an_update_that_left_nan_is_named():
    torch.manual_seed(0)
    model = Spoiling(input_dims=(5, 2, 8, 8), n_classes=3)
    with pytest.raises(
        InputError, match=r"epoch 1, step 2.*the last update left.*V2\.conv2\.bias; .*learning_rate"
    ):
        trainer().fit(model, loader())


def test_images_that_are_not_finite_are_blamed_first():
    with pytest.raises(InputError, match="epoch 1, step 1.*images themselves.*check the data$"):
        trainer().fit(small_model(), loader(image=math.nan))


def test_training_does_not_begin_with_weights_that_are_not_finite():
    model = small_model()
    with torch.no_grad():
        model.classifier.bias[0] = math.nan
    with pytest.raises(InputError, match=r"weights: classifier\.bias holds"):
        trainer().fit(model, loader())


class OwnForward(LightningOnlyModel):
    """A forward of its own."""

    def _define_architecture(self):
        self.classifier = torch.nn.Linear(2 * 8 * 8, 3)

    def forward(self, x):
        return self.classifier(x.flatten(1)).exp() * math.inf


def test_a_forward_of_its_own_stops_too():
    words = (
        "epoch 1, step 1, since the loss is nan: the first activity that is not finite is in layer forward"
    )
    with pytest.raises(InputError, match=words):
        trainer().fit(OwnForward(input_dims=(2, 2, 8, 8), n_classes=3), loader())


def test_a_finite_training_is_not_disturbed():
    model = small_model()
    run = trainer()
    run.fit(model, loader(), loader())
    assert run.global_step == 4
    assert run.callback_metrics["train_loss"].isfinite()
