"""Every family and all dynamics on a GPU: outputs and gradients of a CPU in float64."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from dynvision.config.model import DYNAMICS_SOLVERS, RECURRENCE_TARGETS, RECURRENCE_TYPES
from dynvision.models import create
from tests.base.networks import randomize
from tests.base.registered import CASES, SIZES, arguments_of
from tests.gpu.device import DEVICE, NEEDS_GPU, close, compare, outputs_and_gradients
from tests.neurons.cells import MAKERS, F, make

pytestmark = NEEDS_GPU
N_STEPS = 5


@pytest.mark.parametrize("case", CASES)
def test_every_family_computes_what_it_does_on_a_cpu(case: str) -> None:
    name, own = arguments_of(case)
    torch.manual_seed(0)
    size = SIZES.get(name, 32)
    model = create(name, input_dims=(N_STEPS, 3, size, size), n_classes=4, **own)
    # The gradient grows to 1e17 over the 110 layers of an untrained network, and single precision with it loses two digits.
    dtype, tolerance = (torch.float64, 1e-6) if name == "ResNet110" else (torch.float32, 2e-3)
    compare(model, torch.randn(2, 3, size, size), tolerance, dtype)


COMPONENTS: dict[str, dict[str, Any]] = {
    "feedback": {"feedback": "additive", "t_feedback": 4.0},
    "multiplicative feedback": {"feedback": "multiplicative", "t_feedback": 4.0},
    "delays": {"t_feedforward": 2.0, "t_skip": 4.0},
    "idle time": {"t_idle": 6.0},
    "multiplicative recurrence": {"recurrence_merge": "multiplicative"},
    "supralinearity": {"supralinearity": 1.5},
    "retina": {"retina": True},
    "input adaptation": {"input_adaptation": 0.5},
    "intrinsic suppression": {"intrinsic_suppression": 0.5},
    "divisive normalization": {"divisive_normalization": True, "sigma": 0.5},
    "normalization by a layer": {"divisive_normalization": True, "normalization_pool": "layer"},
    "unit bias": {"unit_bias": "spatial"},
    "learned numbers": {"train": ["tau.channel"]},
    "learned delays": {
        "train": ["t_skip", "t_recurrence", "t_feedforward"],
        "t_skip": 2.0,
        "t_feedforward": 2.0,
    },
    "lesion": {"lesion": "V2->V2", "lesion_gain": 0.3, "t_lesion_start": 4.0},
    "synaptic depression": {"synaptic_depression": 0.1},
    "drive": {"nonlinearity_position": "drive"},
    "segments": {"checkpoint_segments": 2},
    "truncated gradient": {"truncated_bptt_timesteps": 2},
    **{f"solver {name}": {"dynamics_solver": name} for name in DYNAMICS_SOLVERS},
    **{f"recurrence {name}": {"recurrence_type": name} for name in RECURRENCE_TYPES},
    **{f"target {name}": {"recurrence_target": name} for name in RECURRENCE_TARGETS},
}


@pytest.mark.parametrize("variant", COMPONENTS)
def test_all_dynamics_are_those_of_a_cpu(variant: str) -> None:
    name = "DyRCNNx8" if variant == "target middle" else "DyRCNNx4"
    arguments = {"input_dims": (7, 3, 16, 16), "n_classes": 4, "t_recurrence": 2.0, **COMPONENTS[variant]}
    compare(randomize(create(name, **arguments), gain=0.5), torch.randn(2, 3, 16, 16), 1e-3)


def test_noise_of_the_drive_is_finite_and_new() -> None:
    model = create("DyRCNNx2", input_dims=(5, 1, 8, 8), n_classes=3, drive_noise=0.5).to(DEVICE).eval()
    images = torch.randn(2, 1, 8, 8, device=DEVICE)
    with torch.no_grad():
        first, second = model(images), model(images)
    assert first.isfinite().all() and not torch.equal(first, second)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize(
    "dynamics", [{}, {"t_feedback": 4.0, "feedback": "additive"}, {"intrinsic_suppression": 0.5}]
)
def test_two_streams_in_turn_are_two_trials(dynamics: dict[str, Any], mode: Any) -> None:
    """Once its signals have arrived, a stream replays its steps; a state that is kept stays what it was."""
    model = create("DyRCNNx4", input_dims=(24, 3, 16, 16), n_classes=4, **dynamics)
    model = randomize(model, gain=0.5).to(DEVICE).eval()
    videos = torch.randn(2, 24, 3, 16, 16, device=DEVICE)
    with mode(), torch.backends.cudnn.flags(allow_tf32=False):
        wholes = [model(video[None]) for video in videos]
        plan = model.plan()
        states = [model.initial_state(1, plan) for _ in videos]
        kept = []
        for step in range(24):
            for k, video in enumerate(videos):
                kept.append((k, step, states[k]))
                outputs, states[k] = model.step(video[None, step], states[k], plan)
                expected = wholes[k][:, step].detach().cpu().double()
                close({"outputs": outputs}, {"outputs": expected}, 1e-4)
        for k, step, state in kept[-6:]:
            again, _ = model.step(videos[k, None, step], state, plan)
            expected = wholes[k][:, step].detach().cpu().double()
            close({"outputs": again}, {"outputs": expected}, 1e-4)
    with torch.no_grad():  # graphs that were captured in another mode are not in the way
        close({"outputs": model(videos)}, {"outputs": torch.cat(wholes).detach().cpu().double()}, 1e-4)


@pytest.mark.parametrize("name", MAKERS)
def test_every_cell_computes_what_it_does_on_a_cpu(name: str) -> None:
    cell = make(name)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 7, F, generator=generator, dtype=torch.float64)
    results = {}
    for device in ("cpu", DEVICE):
        module = copy.deepcopy(cell).to(device)
        sequence, state = inputs.to(device), None
        outputs = []
        for step in range(7):
            output, state = module(sequence[:, step], state, 1.0)
            outputs.append(output)
        results[device] = outputs_and_gradients(module, lambda _, kept=outputs: torch.stack(kept))
    close(results[DEVICE], results["cpu"], 1e-6)
