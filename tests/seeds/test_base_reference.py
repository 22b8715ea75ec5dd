"""The code of the page "Base Module Reference", as it stands there; what had to be adapted says so."""

from __future__ import annotations

import inspect

import pytest
import pytorch_lightning as pl
import torch
import torch.nn as nn

import dynvision.base
from dynvision.base import (
    BaseModel,
    DtypeDeviceCoordinator,
    DtypeDeviceCoordinatorMixin,
    LightningBase,
    Monitoring,
    MonitoringMixin,
    StorageBuffer,
    StorageBufferMixin,
    TemporalBase,
)
from dynvision.config.model import RecurrentArgs
from dynvision.config.training import TrainingConfig


def documented_defaults(owner: type) -> dict[str, object]:
    parameters = inspect.signature(owner.__init__).parameters
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}


# --- the classes and how they are composed ---------------------------------------------------------------------------


def test_composition_of_base_model():
    assert BaseModel.__bases__ == (
        TemporalBase,
        LightningBase,
        StorageBufferMixin,
        MonitoringMixin,
        DtypeDeviceCoordinatorMixin,
    )


@pytest.mark.parametrize(
    ("name", "bases"),
    [
        ("TemporalBase", [nn.Module]),
        ("LightningBase", [pl.LightningModule]),
        ("StorageBufferMixin", [StorageBuffer]),
        ("MonitoringMixin", [Monitoring]),
        ("DtypeDeviceCoordinatorMixin", [DtypeDeviceCoordinator]),
        ("CoreModel", [TemporalBase, DtypeDeviceCoordinator]),
        ("MonitoredModel", [TemporalBase, Monitoring, DtypeDeviceCoordinator]),
        ("LightningOnlyModel", [TemporalBase, LightningBase, MonitoringMixin]),
    ],
)
def test_bases_of_the_other_classes(name, bases):
    assert all(issubclass(getattr(dynvision.base, name), base) for base in bases)


def test_documented_defaults():
    temporal, lightning = documented_defaults(TemporalBase), documented_defaults(LightningBase)
    assert temporal["input_dims"] == (20, 3, 224, 224)
    assert temporal["dt"] == 2.0
    assert lightning["optimizer"] == "Adam"
    assert lightning["log_every_n_steps"] == 50
    assert documented_defaults(StorageBuffer)["store_responses"] == 0
    # On the page tau is 8.0, the learning rate 0.001 and the schedule StepLR; a base class and the workflow's schema would
    # then train the same model in two ways, so that all defaults are the schema's.
    for owner, schema in (
        (temporal, RecurrentArgs()),
        (lightning, RecurrentArgs()),
        (lightning, TrainingConfig()),
    ):
        shared = owner.keys() & type(schema).model_fields.keys() - {"n_timesteps"}
        given = {name: owner[name] for name in shared if owner[name] is not None}
        assert given == {name: getattr(schema, name) for name in given}
    assert {"tau", "dt", "t_idle"} < temporal.keys() and {"learning_rate", "scheduler"} < lightning.keys()
    # The page gives n_timesteps a default of 1; here it follows from input_dims, as the page "Creating Custom Models"
    # expects of its test (1 image in, 20 steps out).


@pytest.mark.parametrize(
    ("owner", "method", "arguments"),
    [
        (TemporalBase, "forward", ["x_0", "store_responses", "feedforward_only"]),
        (TemporalBase, "set_residual_timesteps", ["n_timesteps", "max_timesteps"]),
        (LightningBase, "training_step", ["batch", "batch_idx"]),
        (LightningBase, "configure_optimizers", []),
        (StorageBuffer, "get_responses", []),
        (StorageBuffer, "get_dataframe", ["layer_name"]),
        (Monitoring, "log_param_stats", ["section", "metrics"]),
        (Monitoring, "_check_weights", ["raise_error"]),
        (DtypeDeviceCoordinator, "create_aligned_tensor", ["size", "creation_method"]),
        (DtypeDeviceCoordinator, "propagate_dtype_sync", []),
    ],
)
def test_documented_arguments_in_their_order(owner, method, arguments):
    names = list(inspect.signature(getattr(owner, method)).parameters)
    assert names[1 : 1 + len(arguments)] == arguments


# --- examples --------------------------------------------------------------------------------------------------------


def test_base_model_example():
    class MyModel(BaseModel):
        def _define_architecture(self):
            self.layer_names = ["conv1", "conv2", "classifier"]
            self.conv1 = nn.Conv2d(3, 64, 3)
            self.conv2 = nn.Conv2d(64, 128, 3)
            self.classifier = nn.Linear(128, self.n_classes)

    model = MyModel(input_dims=(20, 3, 64, 64), n_classes=10, learning_rate=0.001)

    # The page builds the model and does not run it.
    x = torch.randn(1, 3, 64, 64)
    expected = model.classifier(model.conv2(model.conv1(x)).mean(dim=(2, 3)))
    torch.testing.assert_close(model(x), expected[:, None].expand(-1, 20, -1))


def test_core_model_example():
    class CoreModel(TemporalBase, DtypeDeviceCoordinator):
        def _define_architecture(self):
            self.layer_names = ["layer1", "layer2"]
            self.layer1 = nn.Conv2d(3, 64, 3)
            self.layer2 = nn.Conv2d(64, 10, 3)
            self.classifier = nn.AdaptiveAvgPool2d(1)

    model = CoreModel(input_dims=(10, 3, 32, 32))

    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model(x)[:, 3], model.layer2(model.layer1(x)).mean(dim=(2, 3)))
    assert model(x).shape == (2, 10, 10)


def test_lightning_base_example(quick_trainer, loader):
    class TrainingModel(TemporalBase, LightningBase):
        def _define_architecture(self):
            # Define architecture
            # (The page has `pass` here; a model that is to train needs something.)
            self.layer_names = ["conv"]
            self.conv = nn.Conv2d(3, 10, 3)

    # The page leaves out the input, which would be 20 steps of 224 pixels.
    model = TrainingModel(
        optimizer="SGD",
        learning_rate=0.01,
        scheduler="CosineAnnealingLR",
        input_dims=(4, 3, 6, 6),
        n_classes=160,
    )
    before = model.conv.weight.detach().clone()
    quick_trainer.fit(model, loader((3, 6, 6)))
    assert isinstance(quick_trainer.optimizers[0], torch.optim.SGD)
    assert not torch.equal(model.conv.weight, before)


def test_basic_model_development():
    from dynvision.base import BaseModel

    class MyNeuralNetwork(BaseModel):
        def _define_architecture(self):
            self.layer_names = ["input", "hidden", "output"]
            self.input = nn.Conv2d(3, 64, 3)
            self.hidden = nn.Conv2d(64, 128, 3)
            self.output = nn.Conv2d(128, self.n_classes, 1)
            self.classifier = nn.AdaptiveAvgPool2d(1)

    # Instantiate with full functionality
    model = MyNeuralNetwork(
        input_dims=(20, 3, 64, 64),
        n_classes=10,
        learning_rate=0.001,
        store_responses=1000,
    )

    y = model(torch.randn(1, 3, 64, 64))
    responses = model.get_responses()
    assert set(responses) == {"input", "hidden", "output", "classifier"}
    assert torch.equal(responses["classifier"], y.detach())
    torch.testing.assert_close(responses["output"].mean(dim=(3, 4)), y.detach())


def test_research_focused_development():
    from dynvision.base import CoreModel, Monitoring

    class ResearchModel(CoreModel, Monitoring):
        def _define_architecture(self):
            # Minimal setup for experimentation
            pass

    # No Lightning overhead, just core functionality
    model = ResearchModel(input_dims=(5, 1, 28, 28))

    model._check_weights(raise_error=True)
    assert not isinstance(model, pl.LightningModule)
    with pytest.raises(ValueError, match="layer_names is empty"):  # there is nothing to run yet
        model(torch.randn(1, 1, 28, 28))


def test_custom_lightning_integration(quick_trainer, loader):
    from dynvision.base import LightningBase, TemporalBase

    batches = []

    class CustomTrainingModel(TemporalBase, LightningBase):
        def _define_architecture(self):
            # Custom architecture
            # (The page has `pass` here; a model that is to train needs something.)
            self.layer_names = ["conv"]
            self.conv = nn.Conv2d(1, 4, 3)
            self.classifier = nn.Linear(4, self.n_classes)

        def training_step(self, batch, batch_idx):
            # Custom training logic
            batches.append(batch_idx)
            return super().training_step(batch, batch_idx)

    model = CustomTrainingModel(input_dims=(3, 1, 8, 8), n_classes=10)
    quick_trainer.fit(model, loader((1, 8, 8)))
    assert batches == [0, 1]
    assert 0 < quick_trainer.callback_metrics["train_loss"] < 10
