"""On a GPU the engine has kernels of its own: they equal the textbook loop there, and a CPU's results."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch

from dynvision.base.cuda_graphs import EAGER_CALLS
from dynvision.functional.maps import max_pool
from dynvision.model_components import DriveNoise
from dynvision.models import create
from tests.base.networks import randomize
from tests.gpu.device import close, outputs_and_gradients
from tests.textbook_loop import textbook_loop

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]

VARIANTS = {
    "defaults": {},
    "biological time": {"t_feedforward": 4.0, "t_skip": 10.0, "feedback": "additive", "t_feedback": 6.0},
    "learned time constants": {"train_tau": True, "t_idle": 8.0},
    "drive": {"nonlinearity_position": "drive", "recurrence_type": "depthwise"},
    "exponential": {"dynamics_solver": "exponential_euler", "recurrence_type": "none"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_kernels_equal_the_loop_and_the_cpu(variant: str) -> None:
    arguments = {"input_dims": (11, 3, 16, 16), "n_classes": 4, **VARIANTS[variant]}
    plain = randomize(create("DyRCNNx4", **arguments), gain=0.5)
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    results = {}
    with torch.backends.cudnn.flags(allow_tf32=False):
        for name in ("cpu", "loop", "engine"):
            model = copy.deepcopy(plain)
            device = "cpu" if name == "cpu" else "cuda"
            model.to(device, torch.float64 if name == "cpu" else torch.float32)
            x = images.to(device, next(model.parameters()).dtype)
            video = x.unsqueeze(1).expand(-1, 11, -1, -1, -1)
            outputs = textbook_loop(model, video)[0] if name == "loop" else model(x)
            outputs.square().sum().backward()
            gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
            results[name] = {"outputs": outputs.detach(), **gradients}
    for name, reference in results["cpu"].items():
        for side in ("loop", "engine"):
            difference = results[side][name].cpu().double() - reference
            assert difference.norm() <= 1e-4 * reference.norm() + 1e-9, (side, name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_graph_equals_the_loop_while_the_weights_change(variant: str, dtype: torch.dtype) -> None:
    """In float32 the loop itself is up to 3e-5 from float64, so there the yardstick is the engine without a graph."""
    arguments = {"input_dims": (11, 3, 16, 16), "n_classes": 4, **VARIANTS[variant]}
    model = randomize(create("DyRCNNx4", **arguments), gain=0.5).to("cuda", dtype)
    reference = copy.deepcopy(model)
    reference.cuda_graphs = False
    exact = dtype == torch.float64
    bound = 1e-10 if exact else 1e-6
    with torch.backends.cudnn.flags(allow_tf32=False):
        for seed in range(5):
            x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(seed)).to("cuda", dtype)
            outputs = model(x)
            video = x.unsqueeze(1).expand(-1, 11, -1, -1, -1)
            expected = textbook_loop(reference, video)[0] if exact else reference(x)
            for m, y in ((model, outputs), (reference, expected)):
                m.zero_grad()
                y.square().sum().backward()
            assert (outputs - expected).norm() <= bound * expected.norm()
            for p, q in zip(model.parameters(), reference.parameters(), strict=True):
                if q.grad is not None:
                    assert p.grad is not None
                    assert (p.grad - q.grad).norm() <= bound * q.grad.norm() + 1e-12
                with torch.no_grad():
                    p.add_(0.01)
                    q.add_(0.01)
    assert len(model._graphs) == 1


def test_the_gradient_at_observed_activity_is_whole() -> None:
    """Others receive it through max-pooling and a skip connection, which a scan hands out where nobody observes."""
    plain = create("DyRCNNx4", input_dims=(5, 3, 16, 16), n_classes=4, block_steps=5)
    plain = randomize(plain, gain=0.5)
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    gradients = []
    for device, dtype in (("cpu", torch.float64), ("cuda", torch.float32)):
        model = copy.deepcopy(plain).to(device, dtype)
        seen: dict[str, list[torch.Tensor]] = {}
        with torch.backends.cudnn.flags(allow_tf32=False):
            outputs = model(
                images.to(device, dtype),
                observer=lambda layer, frames, seen=seen: seen.setdefault(layer, []).append(frames.values),
            )
            found = torch.autograd.grad(outputs.square().sum(), seen["V1"])
        gradients.append(torch.cat(found).cpu().double())
    assert (gradients[1] - gradients[0]).norm() <= 1e-4 * gradients[0].norm()


def small_network() -> torch.nn.Module:
    return randomize(create("DyRCNNx2", input_dims=(6, 3, 16, 16), n_classes=4), gain=0.5).cuda()


def captured(model: torch.nn.Module, images: torch.Tensor) -> torch.nn.Module:
    """The model after as many calls as a capture takes."""
    for _ in range(EAGER_CALLS + 1):
        model(images).sum().backward()
    model.zero_grad()
    assert len(model._graphs) == 1
    return model


def gradients_of(model: torch.nn.Module) -> list[torch.Tensor]:
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_two_trials_before_one_backward_pass_are_both_right() -> None:
    first, second = torch.randn(2, 3, 3, 16, 16, device="cuda")
    model = captured(small_network(), first)
    found = []
    for graphs in (True, False):
        model.cuda_graphs = graphs
        model.zero_grad()
        (model(first).square().sum() + model(second).square().sum()).backward()
        found.append(gradients_of(model))
    for with_graph, without in zip(*found, strict=True):
        torch.testing.assert_close(with_graph, without, rtol=1e-4, atol=1e-6)


def test_a_second_backward_pass_and_a_second_derivative_are_computed_without_the_graph() -> None:
    images = torch.randn(3, 3, 16, 16, device="cuda")
    model = captured(small_network(), images)
    weight = model.classifier.weight
    loss = model(images).square().sum()
    (once,) = torch.autograd.grad(loss, weight, retain_graph=True)
    (twice,) = torch.autograd.grad(loss, weight)
    torch.testing.assert_close(once, twice)
    loss = model(images).square().sum()
    (slope,) = torch.autograd.grad(loss, weight, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), weight)
    assert curvature.norm() > 0


def test_outputs_and_observed_activity_are_the_callers_own() -> None:
    images = [torch.randn(3, 3, 16, 16, device="cuda") for _ in range(3)]
    model = small_network().eval()
    kept: list[torch.Tensor] = []
    with torch.no_grad():
        outputs = [
            model(x, observer=lambda layer, frames: kept.append(frames.values)) for x in (*images, *images)
        ]
    for early, late in zip(outputs[:3], outputs[3:], strict=True):
        assert torch.equal(early, late)
    half = len(kept) // 2
    assert half and all(torch.equal(a, b) for a, b in zip(kept[:half], kept[half:], strict=True))


def test_a_setting_that_was_changed_after_the_capture_is_heard() -> None:
    images = torch.randn(3, 3, 16, 16, device="cuda")
    model = captured(small_network(), images)
    before = model(images)
    model.tstep_layer1.tau_init = 20.0
    changed = model(images)
    model.cuda_graphs = False
    torch.testing.assert_close(changed, model(images))
    assert not torch.allclose(before, changed)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (3, 1, 1), (5, 3, 2)])
def test_max_pooling_equals_that_of_torch_with_ties_and_nan(kernel: int, stride: int, padding: int) -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 4, (2, 6, 9, 10), device="cuda").float()
    x[0, 0, 0, 0] = torch.nan
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    pool = torch.nn.MaxPool2d(kernel, stride, padding)
    theirs, ours = pool(x), max_pool(pool, x)
    assert torch.equal(theirs.nan_to_num(99), ours.nan_to_num(99))
    up = torch.randn_like(theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, x, up), torch.autograd.grad(theirs, x, up))


def test_channels_are_padded_in_sixteen_bits_without_a_trace_outside() -> None:
    model = randomize(create("DyRCNNx4", input_dims=(9, 3, 16, 16), n_classes=4), gain=0.5).cuda().eval()
    images = torch.randn(3, 3, 16, 16, device="cuda")
    seen: dict[str, int] = {}
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
        outputs = model(images, observer=lambda layer, frames: seen.update({layer: frames.values.shape[1]}))
    assert seen == {"V1": 36, "V2": 64, "V4": 121, "IT": 256}
    with torch.no_grad():
        exact = model(images)
    assert (outputs - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize("delays", [{}, {"t_feedforward": 4.0, "t_skip": 2.0, "feedback": "additive"}])
def test_gradients_in_sixteen_bits_are_those_of_a_cpu_to_rounding(delays: dict[str, Any]) -> None:
    """Biases among them, which the steps add for convolutions and connections that are there at all of them."""
    plain = randomize(create("DyRCNNx4", input_dims=(9, 3, 16, 16), n_classes=4, **delays), gain=0.5).eval()
    for name, parameter in plain.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.uniform_(parameter, 0.0, 0.5)
    images = torch.randn(3, 3, 16, 16)
    exact = outputs_and_gradients(copy.deepcopy(plain).double(), lambda model: model(images.double()))
    with torch.autocast("cuda", torch.bfloat16):
        found = outputs_and_gradients(plain.cuda(), lambda model: model(images.cuda()).float())
    close(found, exact, 0.1)


@torch.backends.cudnn.flags(allow_tf32=False)
def test_noise_on_the_drive_is_new_in_every_trial_and_follows_the_seed_in_a_graph_too() -> None:
    images = torch.randn(3, 3, 16, 16, device="cuda")
    noisy = {"drive_noise": 0.5, "recurrence_type": "self"}
    model = create("DyRCNNx2", input_dims=(6, 3, 16, 16), n_classes=4, **noisy).cuda().eval()
    eager = copy.deepcopy(model)
    eager.cuda_graphs = False
    captured(model, images)
    outputs = [model(images).detach() for _ in range(3)]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(outputs, 2))
    for seed in range(3):
        torch.manual_seed(seed)
        replayed = model(images)
        torch.manual_seed(seed)
        torch.testing.assert_close(replayed, eager(images), rtol=1e-4, atol=1e-5)
        eager.block_steps = seed + 1


def test_noise_is_normal_and_independent_from_step_to_step() -> None:
    x = torch.zeros(8, 4, 64, 64, device="cuda")
    noise, after = DriveNoise(2.0).run(x, 4, torch.tensor(7, device="cuda"))
    assert int(after) == 11
    assert noise.mean().abs() < 0.03 and abs(noise.std() - 2.0) < 0.03
    steps = noise.unflatten(0, (4, 2)).flatten(1)
    assert (torch.corrcoef(steps) - torch.eye(4, device="cuda")).abs().max() < 0.03


@torch.backends.cudnn.flags(allow_tf32=False)
def test_every_step_of_a_stream_has_noise_of_its_own() -> None:
    frame = torch.randn(2, 3, 16, 16, device="cuda")
    model = create("DyRCNNx2", input_dims=(6, 3, 16, 16), n_classes=4, drive_noise=0.5).cuda().eval()
    with torch.inference_mode():
        ends = []
        for graphs in (True, False):
            model.cuda_graphs = graphs
            torch.manual_seed(0)
            state = model.initial_state(2)
            for _ in range(30):
                output, state = model.step(frame, state)
            ends.append(output)
            again, _ = model.step(frame, state)
            assert not torch.equal(again, output)
    torch.testing.assert_close(*ends, rtol=1e-4, atol=1e-5)


class Asks(torch.nn.Module):
    """Looks at a number on the host, which no graph can."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if float(x.detach().abs().max()) > -1 else -x


def test_a_trial_that_cannot_be_captured_runs_and_leaves_random_numbers_as_they_are() -> None:
    images = torch.randn(3, 3, 16, 16, device="cuda")
    model = small_network()
    before = captured(model, images)(images)
    model.nonlin_layer1 = Asks()
    for _ in range(EAGER_CALLS + 2):
        torch.manual_seed(3)
        model(images).sum().backward()
        drawn = torch.randn(5, device="cuda")
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.randn(5, device="cuda"))
    assert torch.nn.functional.dropout(before, 0.5).isfinite().all()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU here")
def test_a_model_is_captured_on_its_own_gpu_whichever_is_the_current_one() -> None:
    models = [
        create("DyRCNNx2", input_dims=(4, 1, 8, 8), n_classes=3, cuda_graphs=on) for on in (True, False)
    ]
    models[1].load_state_dict(models[0].state_dict())
    graphed, eager = (model.to("cuda:1").eval() for model in models)
    assert torch.cuda.current_device() == 0
    with torch.no_grad():
        for seed in range(EAGER_CALLS + 3):
            x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(seed)).to("cuda:1")
            torch.testing.assert_close(graphed(x), eager(x), rtol=1e-3, atol=1e-4)
    assert len(graphed._graphs) == 1
