"""How the base classes go together: constructors, imports, copies, devices and dtypes, compilation."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dynvision.base import (
    BaseModel,
    CoreModel,
    DtypeDeviceCoordinator,
    LightningBase,
    LightningOnlyModel,
    MonitoredModel,
    Monitoring,
    StorageBuffer,
    TemporalBase,
)
from dynvision.errors import InputError
from dynvision.models import create
from tests.base.three_areas import arbitrary, images, small


class Net:
    """An architecture for any of the base classes."""

    def _define_architecture(self):
        self.layer_names = ["conv"]
        self.conv = nn.Conv2d(self.n_channels, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.layer_operations = ["layer", "norm", "record", "delay"]
        self.classifier = nn.Linear(4, self.n_classes)


def compose(*bases):
    return type("Composed", (Net, *bases), {})


COMPOSITIONS = {
    "BaseModel": BaseModel,
    "CoreModel": CoreModel,
    "MonitoredModel": MonitoredModel,
    "LightningOnlyModel": LightningOnlyModel,
}


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_every_composition_runs_and_copies(name):
    model = compose(COMPOSITIONS[name])(input_dims=(3, 2, 8, 8), n_classes=5)
    x = torch.randn(2, 2, 8, 8)
    y = model(x)
    assert y.shape == (2, 3, 5)
    twin = copy.deepcopy(model)
    twin.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(twin.eval()(x), model.eval()(x))
    assert isinstance(model, pl.LightningModule) == ("Lightning" in name or name == "BaseModel")


def test_pickles_and_copies_keep_settings_and_responses():
    model = small(store_responses=7, learning_rate=0.3, t_feedforward=4.0)
    with torch.no_grad():
        y = model(images(2, 2, 8, 8))
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert (twin.store_responses, twin.learning_rate, twin.t_feedforward) == (7, 0.3, 4.0)
            assert torch.equal(twin.get_responses()["classifier"], y)
            twin(images(1, 2, 8, 8))
            assert [len(m.get_responses()["classifier"]) for m in (model, twin)] == [2, 3]


class Trained(Net, BaseModel):
    pass


def test_a_model_that_was_trained_can_be_copied():
    model = Trained(input_dims=(3, 2, 8, 8), n_classes=5, store_responses=100)
    data = DataLoader(TensorDataset(torch.randn(4, 2, 8, 8), torch.arange(4)), batch_size=2)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data, data)
    x = torch.randn(1, 2, 8, 8)
    assert torch.equal(copy.deepcopy(model).eval()(x), model.eval()(x))
    assert torch.equal(pickle.loads(pickle.dumps(model)).eval()(x), model(x))


def test_arguments_reach_every_class_of_a_composition():
    model = compose(BaseModel)(
        input_dims=(3, 2, 8, 8),
        n_classes=5,
        tau=9.0,
        optimizer="SGD",
        log_every_n_steps=3,
        store_responses=6,
        response_resolution="layer",
        max_stored_bytes=1000,
    )
    assert (model.n_timesteps, model.n_classes, model.tau) == (3, 5, 9.0)
    assert (model.optimizer, model.log_every_n_steps) == ("SGD", 3)
    assert (model.store_responses, model.response_resolution, model.max_stored_bytes) == (6, "layer", 1000)


@pytest.mark.parametrize(
    ("base", "wrong", "right"),
    [
        (BaseModel, "store_response", "store_responses"),
        (BaseModel, "learning_rates", "learning_rate"),
        (LightningOnlyModel, "optimiser", "optimizer"),
        (CoreModel, "input_dim", "input_dims"),
        (MonitoredModel, "learning_rate", ""),  # known elsewhere, not here
    ],
)
def test_an_argument_that_no_class_knows_is_refused(base, wrong, right):
    with pytest.raises(InputError, match=f"unknown argument '{wrong}'.*{right}"):
        compose(base)(**{wrong: 1})


def test_mixins_behind_module_are_constructed_with_their_arguments():
    """TemporalBase hands on what it does not know to classes that stand behind nn.Module."""

    class Behind:
        def __init__(self, gain=1.0, **kwargs):
            super().__init__(**kwargs)
            self.gain = gain

    model = compose(TemporalBase, Monitoring, Behind, StorageBuffer)(gain=3.0, store_responses=2, n_classes=5)
    assert (model.gain, model.store_responses) == (3.0, 2)


def test_temporal_base_comes_before_lightning_base():
    """The order of the pages; the other one cannot pass arguments on and says so."""
    model = compose(TemporalBase, LightningBase)(input_dims=(3, 2, 8, 8), n_classes=5, learning_rate=0.5)
    assert (model.learning_rate, model.n_timesteps) == (0.5, 3)
    with pytest.raises(TypeError, match="class Composed: write TemporalBase before LightningBase"):
        compose(LightningBase, TemporalBase)


def test_architecture_may_be_defined_twice():
    class Twice(Net, BaseModel):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self._define_architecture()

    model = Twice(input_dims=(3, 2, 8, 8), n_classes=5)
    assert model(torch.randn(2, 2, 8, 8)).shape == (2, 3, 5)
    assert len(list(model.parameters())) == 6


def test_core_classes_do_not_import_lightning():
    code = """
import sys
from dynvision.base import (CoreModel, DtypeDeviceCoordinator, MonitoredModel, Monitoring, StorageBuffer, TemporalBase)
import dynvision.model_components
assert not [name for name in sys.modules if "lightning" in name], "Lightning is imported"
assert "pandas" not in sys.modules and "matplotlib" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# --- names that resolve to nothing -----------------------------------------------------------------------------------


def test_names_that_resolve_to_nothing_are_errors():
    class Misspelt(Net, CoreModel):
        def _define_architecture(self):
            super()._define_architecture()
            self.layer_operations = ["layer", "nrm", "record"]

    with pytest.raises(InputError, match="unknown operation 'nrm'.*did you mean 'norm'"):
        Misspelt(input_dims=(3, 2, 8, 8), n_classes=5)(torch.randn(1, 2, 8, 8))

    class Absent(Net, CoreModel):
        def _define_architecture(self):
            super()._define_architecture()
            self.layer_names = ["conf"]

    with pytest.raises(InputError, match="unknown layer 'conf'.*did you mean 'conv'"):
        Absent(input_dims=(3, 2, 8, 8), n_classes=5)(torch.randn(1, 2, 8, 8))
    with pytest.raises(InputError, match=r"input of shape \(1, 3, 8, 8\) is not"):
        compose(CoreModel)(input_dims=(3, 2, 8, 8), n_classes=5)(torch.randn(1, 3, 8, 8))
    with pytest.raises(InputError, match=r"input_dims=\(3, 2\) must be"):
        compose(CoreModel)(input_dims=(3, 2))
    with pytest.raises(NotImplementedError, match="TemporalBase must implement _define_architecture"):
        TemporalBase()


# --- dtype and device ------------------------------------------------------------------------------------------------


class Coordinated(Net, TemporalBase, DtypeDeviceCoordinator):
    pass


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_aligned_tensors(dtype):
    model = Coordinated(input_dims=(3, 2, 8, 8), n_classes=5).to(dtype)
    made = {
        method: model.create_aligned_tensor(size=(4, 2, 8, 8), creation_method=method)
        for method in ("randn", "zeros", "ones")
    }
    for tensor in made.values():
        assert (tensor.dtype, tensor.device, tensor.shape) == (dtype, model.conv.weight.device, (4, 2, 8, 8))
    assert made["randn"].std() > 0.5 and not made["zeros"].any() and (made["ones"] == 1).all()
    assert model(made["randn"]).dtype == dtype


def test_aligned_tensors_take_arguments_of_torch():
    model = Coordinated(input_dims=(3, 2, 8, 8), n_classes=5)
    assert model.create_aligned_tensor((2,), requires_grad=True).requires_grad
    assert model.create_aligned_tensor((2,), "ones", dtype=torch.int64).dtype == torch.int64
    with pytest.raises(InputError, match="unknown creation_method 'normal'.*ones, randn, zeros"):
        model.create_aligned_tensor((2,), "normal")


def test_synchronisation_follows_the_first_parameter():
    model = Coordinated(input_dims=(3, 2, 8, 8), n_classes=5)
    model.conv.double()
    model.propagate_dtype_sync()
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert model.norm.running_mean.dtype == torch.float64
    assert model.norm.num_batches_tracked.dtype == torch.int64  # counts stay counts
    model.classifier.to("meta")
    model.conv.to("meta")
    model.propagate_dtype_sync()
    assert {p.device.type for p in model.parameters()} == {"meta"}


def test_a_trainer_synchronises_first():
    model = compose(BaseModel)(input_dims=(3, 2, 8, 8), n_classes=5)
    model.classifier.double()
    x, labels = torch.randn(2, 2, 8, 8), torch.arange(2)
    with pytest.raises(RuntimeError, match="dtype"):
        model(x)
    data = DataLoader(TensorDataset(x, labels), batch_size=2)
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.test(model, data, verbose=False)
    assert model.classifier.weight.dtype == torch.float32


# --- compilation -----------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("seed", [0, 5])
def test_a_step_compiles_as_one_graph(seed):
    """With the plan at hand; to make the plan is Python, which is not compiled."""
    torch.compiler.reset()
    model, frames = arbitrary(seed), images(4, 2, 2, 8, 8)
    plan = model.plan()
    compiled = torch.compile(model.step, backend="eager", fullgraph=True)
    state = eager_state = model.initial_state(2, plan)
    for frame in frames:
        y, state = compiled(frame, state, plan)
        eager, eager_state = model.step(frame, eager_state, plan)
        torch.testing.assert_close(y, eager, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@torch.no_grad()
def test_a_step_compiles_with_inductor():
    torch.compiler.reset()
    torch.manual_seed(0)
    model = create(
        "DyRCNNx2", input_dims=(4, 1, 28, 28), n_classes=10, t_feedforward=2.0, feedback="additive"
    ).eval()
    plan = model.plan()
    compiled = torch.compile(model.step, fullgraph=True)
    state = eager_state = model.initial_state(2, plan)
    for frame in torch.randn(4, 2, 1, 28, 28):
        y, state = compiled(frame, state, plan)
        eager, eager_state = model.step(frame, eager_state, plan)
        torch.testing.assert_close(y, eager, rtol=1e-4, atol=1e-5)
