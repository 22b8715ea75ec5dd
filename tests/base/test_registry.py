"""Every registered model, by its name: shapes, gradients, files, copies, precision."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from dynvision.config.model import RECURRENCE_TARGETS, RECURRENCE_TYPES, DyRCNNArgs
from dynvision.config.models import MODELS
from dynvision.errors import InputError
from dynvision.models import create, list_models
from dynvision.models.weights import load_weights, read_weights, save_weights
from tests.base.networks import randomize

NAMES = list_models()
RECURRENT = [name for name in NAMES if issubclass(MODELS[name].args, DyRCNNArgs)]
N_STEPS, SIZE = 3, 32


def build(name, size=SIZE, n_steps=N_STEPS, **arguments):
    torch.manual_seed(0)
    return create(name, input_dims=(n_steps, 3, size, size), n_classes=10, **arguments)


def images(n=2, size=SIZE):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_the_shipped_models_are_registered():
    assert set(NAMES) >= {"DyRCNNx2", "DyRCNNx4", "DyRCNNx8"}


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_finite_gradients_after_a_step(name):
    model = build(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):
        logits = model(images())
        assert logits.shape == (2, N_STEPS + model.n_residual_timesteps, 10)
        assert logits.isfinite().all()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits[:, -1], torch.tensor([3, 4])).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("target", RECURRENCE_TARGETS)
@pytest.mark.parametrize("recurrence_type", RECURRENCE_TYPES)
@pytest.mark.parametrize("name", RECURRENT)
def test_every_parameter_gets_a_gradient(name, recurrence_type, target):
    """For all combinations that are possible; the others are an error that names the keys."""
    extras = {
        "t_recurrence": 2.0,
        "feedback": "additive",
        "t_feedback": 2.0,
        "train_tau": True,
        "unit_bias": "feature",
        "intrinsic_suppression": 0.1,
        "divisive_normalization": True,
    }
    try:
        model = build(
            name, 24, n_steps=4, recurrence_type=recurrence_type, recurrence_target=target, **extras
        )
    except InputError as error:
        assert "recurrence_target" in str(error)
        assert recurrence_type in str(error) or target == "middle"
        return
    randomize(model, gain=1.0)
    model(images(2, 24)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_which_combinations_are_possible():
    """A type that keeps the channels cannot reach a target with other channels; `middle` needs two stages."""
    possible = set()
    for recurrence_type in RECURRENCE_TYPES:
        for target in RECURRENCE_TARGETS:
            try:
                build("DyRCNNx8", recurrence_type=recurrence_type, recurrence_target=target)
                possible.add((recurrence_type, target))
            except InputError:
                pass
    keeps = {"self", "depthwise", "local", "localdepthwise"}
    assert possible == {
        (kind, target)
        for kind in RECURRENCE_TYPES
        for target in RECURRENCE_TARGETS
        if target != "input" or kind not in keeps
    }


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_saved_and_loaded_strictly(name, tmp_path):
    model, other, path = build(name), randomize(build(name), seed=1), tmp_path / "model.safetensors"
    save_weights(model, path, {"run_id": "a"})
    tensors, header = read_weights(path)
    assert header == {"run_id": "a"}
    load_weights(other, tensors, path)
    with torch.no_grad():
        assert torch.equal(other(images()), model(images()))
    first = next(iter(tensors))
    with pytest.raises(InputError, match=f"missing {first}"):
        load_weights(other, {n: t for n, t in tensors.items() if n != first}, path)
    with pytest.raises(InputError, match="unexpected more"):
        load_weights(other, tensors | {"more": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=rf"{first} has shape \(1, 1\) instead of"):
        load_weights(other, tensors | {first: torch.zeros(1, 1)}, path)


@pytest.mark.parametrize("name", NAMES)
def test_copies_are_equal_and_apart(name):
    model = build(name)
    with torch.no_grad():
        expected = model(images())
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(twin(images()), expected)
            randomize(twin)
            assert not torch.equal(twin(images()), expected)
            assert torch.equal(model(images()), expected)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_autocast_is_finite_and_near(name):
    model = randomize(build(name), gain=1.0)
    exact = model(images())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(images())
    assert rounded.isfinite().all()
    torch.testing.assert_close(rounded.float(), exact, rtol=0, atol=0.1 * exact.abs().max().item())
    rounded.float().square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_argument_is_refused_with_the_nearest_name(name):
    with pytest.raises(InputError, match="n_timesteps"):
        build(name, n_timestep=5)
