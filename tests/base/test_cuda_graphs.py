"""What of a CUDA graph can be tested without a GPU: which models are captured, and what makes another key."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dynvision.base import cuda_graphs
from dynvision.base.cuda_graphs import _signature
from dynvision.base.versions import ModelVersions
from dynvision.models import create
from tests.processes import n_calls


def network(**arguments: Any) -> nn.Module:
    return create("DyRCNNx2", input_dims=(4, 1, 8, 8), n_classes=3, **arguments)


IMAGES = torch.zeros(2, 1, 8, 8)


@pytest.mark.parametrize(
    "register",
    [
        lambda m: m.register_forward_hook(lambda *_: None),
        lambda m: m.register_forward_pre_hook(lambda *_: None),
        lambda m: m.register_full_backward_hook(lambda *_: None),
        lambda m: m.register_full_backward_pre_hook(lambda *_: None),
    ],
    ids=["forward", "forward pre", "backward", "backward pre"],
)
def test_hooks_are_called_and_so_nothing_is_captured(register: Any) -> None:
    model = network()
    register(model.layer1.conv)
    assert ModelVersions().of(model).hooks_on == "layer1.conv"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m.tstep_layer1, "tau_init", 20.0),
        lambda m: setattr(m.tstep_layer1, "dt", 1.0),
        lambda m: setattr(m, "non_input_value", 0.5),
        lambda m: setattr(m, "my_own_setting", [1, 2]),
        lambda m: m.eval(),
        lambda m: m.layer1.conv.requires_grad_(False),
    ],
    ids=[
        "a time constant",
        "dt of a component",
        "the null input",
        "an attribute of one's own",
        "eval",
        "a frozen layer",
    ],
)
def test_what_changes_the_computation_is_another_key(change: Any) -> None:
    model, versions = network(), ModelVersions()
    before = _signature(versions.of(model), [IMAGES])
    assert _signature(versions.of(model), [IMAGES]) == before
    change(model)
    assert _signature(versions.of(model), [IMAGES]) != before


@pytest.mark.parametrize("name", ["DyRCNNx2", "ResNet18", "ResNet20", "AlexNet", "CORnetS"])
def test_a_plan_that_is_made_again_has_the_same_key(name: str) -> None:
    """Rows of modules are put together for each plan; a key of their own would never be captured."""
    model = create(name, input_dims=(2, 3, 64, 64), n_classes=3)
    plans = [model.plan(), model.plan()]
    assert plans[0].key == plans[1].key


def test_a_plan_without_recurrence_has_another_key() -> None:
    model = network()
    assert model.plan().key != model.plan(feedforward_only=True).key


@pytest.mark.parametrize("lesion", ["layer1->layer1", "feedforward layer1->layer2"])
def test_a_plan_with_another_gain_has_another_key(lesion: str) -> None:
    model = network(lesion=lesion)
    keys = set()
    for gain, start in itertools.product((1.0, 0.5), (None, 4.0)):
        model.lesion_gain, model.t_lesion_start = gain, start
        keys.add(model.plan().key)
    assert len(keys) == 4


def test_to_look_whether_a_plan_and_a_graph_still_hold_is_little_work() -> None:
    """It is done for every batch."""
    model = network()
    model.plan()
    assert n_calls(model.plan) < 220
    assert n_calls(lambda: _signature(model._versions.of(model), [IMAGES])) < 240


def test_nothing_that_a_training_does_by_itself_is_another_key() -> None:
    """A key that changes at every update would never be captured."""
    model, seen = network(), []

    class Look(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
            seen.append(module._versions.of(module))

    images = TensorDataset(torch.randn(8, 1, 8, 8), torch.arange(8) % 3)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    pl.Trainer(max_epochs=2, callbacks=[Look()], accelerator="cpu", enable_model_summary=False, **quiet).fit(
        model, DataLoader(images, 2)
    )
    assert len(seen) == 8 and all(version is seen[0] for version in seen)


def test_a_trial_is_captured_on_the_gpu_of_its_input(monkeypatch: Any) -> None:
    """On the current one it would be computed elsewhere, and every replay would hand out the same."""
    within, captured = [], []

    @contextlib.contextmanager
    def device_of(x: torch.Tensor) -> Iterator[None]:
        within.append(x)
        yield
        within.pop()

    def captures(model: Any, trial: Any, inputs: Any, *_: Any) -> Any:
        captured.append(within[-1] is inputs[0])
        raise RuntimeError("no")

    monkeypatch.setattr(cuda_graphs, "GraphedTrial", captures)
    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    for name in ("graph_pool_handle", "memory_reserved", "current_stream", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: None)
    graphs, model, versions, x = cuda_graphs.CudaGraphs(), nn.Linear(2, 2), ModelVersions(), torch.rand(1, 2)
    for _ in range(cuda_graphs.EAGER_CALLS + 1):
        graphs.run(versions.of(model), "key", lambda inputs, watch: model(inputs[0]), [x], {})
    assert captured == [True]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")])
def test_a_trial_that_cannot_be_captured_runs_eagerly_and_says_so_once(
    error: Exception, monkeypatch: Any, caplog: Any
) -> None:
    def fails(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(cuda_graphs, "GraphedTrial", fails)
    for name in ("graph_pool_handle", "memory_reserved", "current_stream", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: None)
    graphs, model, versions = cuda_graphs.CudaGraphs(), torch.nn.Linear(2, 2), ModelVersions()
    with caplog.at_level("INFO"), torch.no_grad():
        for _ in range(cuda_graphs.EAGER_CALLS + 3):
            x = torch.rand(1, 2)
            assert graphs.run(
                versions.of(model), "key", lambda inputs, watch: model(inputs[0]), [x], {}
            ).equal(model(x))
    assert len(graphs) == 0 and caplog.text.count("no CUDA graph") == 1


@pytest.mark.parametrize(
    "dynamics",
    [{}, {"intrinsic_suppression": 0.5}, {"divisive_normalization": True}, {"dynamics_solver": "rk4"}],
)
def test_a_step_is_the_same_from_the_tensors_of_its_state(dynamics: dict[str, Any], monkeypatch: Any) -> None:
    """What a graph is given and gives back is the whole state: here the step runs as it would while it is captured."""
    torch.manual_seed(0)
    model = create("DyRCNNx4", input_dims=(16, 1, 8, 8), n_classes=3, **dynamics).eval()
    video = torch.randn(2, 16, 1, 8, 8)
    layouts = set()

    def run(self: Any, model: Any, key: Any, step: Any, inputs: Any) -> Any:
        layouts.add(key)
        outputs, after = step([x.clone() for x in inputs])
        return [x.clone() for x in outputs], after

    monkeypatch.setattr(
        type(model), "_captures_step", lambda self, version, frame, state, plan: state.age == plan.settled
    )
    monkeypatch.setattr(cuda_graphs.CudaGraphs, "step", run)
    with torch.no_grad():
        whole, plan = model(video), model.plan()
        state = model.initial_state(2, plan)
        for step in range(16):
            outputs, state = model.step(video[:, step], state, plan)
            torch.testing.assert_close(outputs, whole[:, step])
    assert 1 <= len(layouts) <= 2, "of the many steps of a stream, one or two are captured"
