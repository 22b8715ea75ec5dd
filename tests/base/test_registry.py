"""Every registered model, by its name: shapes, gradients, files, copies, streaming, precision, configuration."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import yaml

from dynvision.config.model import RECURRENCE_TYPES
from dynvision.config.models import MODELS
from dynvision.config.run import RunConfig, thaw
from dynvision.config.section import validate
from dynvision.config.yaml_text import to_yaml
from dynvision.errors import InputError
from dynvision.models.build import build_model
from dynvision.models.weights import load_weights, read_weights, save_weights
from tests.base.networks import randomize
from tests.base.registered import CASES, N_STEPS, NAMES, SIZES, arguments_of, build, images
from tests.base.small import Small, SmallTwoStage, targets_of


def test_the_shipped_models_are_registered():
    assert set(NAMES) >= {"DyRCNNx2", "DyRCNNx4", "DyRCNNx8"}


@pytest.mark.parametrize("case", CASES)
def test_shapes_and_finite_gradients_after_a_step(case):
    """And every parameter gets a gradient, with the arguments that the model has by default."""
    model = build(case)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):
        outputs = model.respond((images(model, 4), torch.tensor([3, 4, 5, 6])), shuffle=True)
        assert outputs.logits.shape == (4, N_STEPS + model.n_residual_timesteps, 10)
        assert outputs.logits.isfinite().all()
        optimizer.zero_grad()
        loss = model.loss(outputs)
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    assert all(p.isfinite().all() for p in model.parameters())
    model = randomize(build(case, n_steps=6), gain=1.0)
    model(images(model)).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


KINDS = {"DyRCNNx4": Small, "DyRCNNx8": SmallTwoStage}  # alike in what a recurrence reaches


@pytest.mark.parametrize(
    ("name", "recurrence_type", "target"),
    [(name, kind, target) for name in KINDS for kind in RECURRENCE_TYPES for target in targets_of(KINDS[name], kind)],
)  # fmt: skip
def test_every_parameter_gets_a_gradient(name, recurrence_type, target):
    extras = {
        "t_recurrence": 2.0,
        "feedback": "additive",
        "t_feedback": 2.0,
        "train_tau": True,
        "unit_bias": "feature",
        "intrinsic_suppression": 0.1,
        "divisive_normalization": True,
    }
    model = build(name, 24, n_steps=4, recurrence_type=recurrence_type, recurrence_target=target, **extras)
    randomize(model, gain=1.0)
    model(images(model)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("case", CASES)
def test_weights_are_saved_and_loaded_strictly(case, tmp_path):
    model, other, path = (
        build(case).eval(),
        randomize(build(case), seed=1).eval(),
        tmp_path / "model.safetensors",
    )
    save_weights(model, path, {"run_id": "a"})
    tensors, header = read_weights(path)
    assert header == {"run_id": "a"}
    load_weights(other, tensors, path)
    with torch.no_grad():
        assert torch.equal(other(images(other)), model(images(model)))
    first = next(iter(tensors))
    with pytest.raises(InputError, match=f"missing {first}"):
        load_weights(other, {n: t for n, t in tensors.items() if n != first}, path)
    with pytest.raises(InputError, match="unexpected more"):
        load_weights(other, tensors | {"more": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=rf"{first} has shape \(1, 1\) instead of"):
        load_weights(other, tensors | {first: torch.zeros(1, 1)}, path)


@pytest.mark.parametrize("case", CASES)
def test_copies_are_equal_and_apart(case):
    model = randomize(build(case)).eval()
    with torch.no_grad():
        expected = model(images(model))
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(twin(images(model)), expected)
            randomize(twin, seed=1)
            assert not torch.equal(twin(images(model)), expected)
            assert torch.equal(model(images(model)), expected)


@pytest.mark.parametrize("case", CASES)
def test_streaming_equals_the_whole(case):
    model = randomize(build(case)).eval()
    video = torch.randn(2, N_STEPS + 2, 3, model.height, model.width)
    with torch.no_grad():
        whole, state, plan = model(video), model.initial_state(2), model.plan()
        null = model.null_input(2)
        frames = [*video.unbind(1), *[null] * model.n_residual_timesteps]
        for t, frame in enumerate(frames):
            logits, state = model.step(frame, state, plan)
            torch.testing.assert_close(logits, whole[:, t], rtol=1e-4, atol=1e-5 * whole.abs().max().item())


@pytest.mark.parametrize("case", CASES)
def test_bfloat16_autocast_is_finite_and_near(case):
    model = randomize(build(case), gain=1.0)
    model.eval()
    exact = model(images(model))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(images(model))
    assert rounded.isfinite().all()
    torch.testing.assert_close(rounded.float(), exact, rtol=0, atol=0.1 * exact.abs().max().item())
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        model(images(model, 4)).float().square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("case", CASES)
def test_a_configuration_builds_the_same_model_again(case):
    name, arguments = arguments_of(case)
    run = validate(RunConfig, {"model": {"name": name, "args": {**arguments, "n_timesteps": 2}}}, "")
    text = to_yaml(run)
    again = thaw(yaml.safe_load(text))
    assert (again, again.run_id) == (run, run.run_id)
    size = SIZES.get(name, 32)
    built = []
    for config in (run, again):
        torch.manual_seed(3)
        built.append(build_model(config, (3, size, size), 10))
    model, twin = built
    assert str(model) == str(twin)
    assert all(torch.equal(t, twin.state_dict()[n]) for n, t in model.state_dict().items())
    with torch.no_grad():
        assert torch.equal(model.eval()(images(model)), twin.eval()(images(model)))


@pytest.mark.parametrize("name", {MODELS[name].args: name for name in NAMES}.values())  # one of each schema
def test_an_unknown_argument_is_refused_with_the_nearest_name(name):
    with pytest.raises(InputError, match="n_timesteps"):
        build(name, n_timestep=5)
