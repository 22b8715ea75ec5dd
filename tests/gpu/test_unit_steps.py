"""The kernels of steps of units equal the loop over their function, gradients and second derivatives included.

With ``TEST_DEVICE=cpu TRITON_INTERPRET=1`` Triton interprets them on a CPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from dynvision.functional import unit_steps
from dynvision.functional.unit_steps import DepressionStep, Nonlinearity, UnitStep, scan
from dynvision.models import create
from tests.base.networks import randomize
from tests.gpu.device import DEVICE, NEEDS_GPU, compare

INTERPRETED = unit_steps.HAS_TRITON and os.environ.get("TRITON_INTERPRET") == "1"
pytestmark = [
    *NEEDS_GPU,
    pytest.mark.skipif(DEVICE == "cpu" and not INTERPRETED, reason="needs Triton, on a CPU its interpreter"),
]
CHANNELS, BATCH = 3, 4
RECTIFIED, RAISED = Nonlinearity(True), Nonlinearity(True, (1.8, 0.8))
STEPS: dict[str, tuple[Any, int]] = {  # with the number of learned numbers
    "suppressed": (UnitStep((0.1, 0.7, 0.0), after=RECTIFIED, gain=0.4), 0),
    "suppressed above an offset": (UnitStep((0.2, 0.7, 0.3), after=RECTIFIED, gain=0.4), 0),
    "suppressed and learned": (UnitStep((0.1, 0.7, 0.3), after=RECTIFIED), 1),
    "suppressed, the drive rectified": (UnitStep((0.1, 0.7, 0.0), before=RECTIFIED), 1),
    "supralinear": (UnitStep(after=RAISED, gain=0.4), 0),
    "supralinear and not rectified": (UnitStep(after=Nonlinearity(False, (1.5, 0.7))), 1),
    "suppressed and supralinear": (UnitStep((0.1, 0.7, 0.2), after=RAISED), 1),
    "suppressed, the drive supralinear": (UnitStep((0.1, 0.7, 0.2), before=RAISED, gain=0.4), 0),
    "liquid": (UnitStep(after=RECTIFIED, gain=0.4, liquid=True), 4),
    "liquid, suppressed and supralinear": (UnitStep((0.1, 0.7, 0.2), after=RAISED, liquid=True), 5),
    "depressed": (DepressionStep(0.1, 0.7, 0.6), 0),
}


def results(
    step: Any, inputs: list[Tensor | None], n: int, twice: bool = False
) -> list[tuple[str, Tensor | None]]:
    """What the steps give, their gradients by input, and the gradients of those."""
    given = [None if x is None else x.clone().requires_grad_() for x in inputs]
    z, a, b, *learned = given
    y, *states = scan(step, z, n, BATCH, a, b, learned)
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype, device=y.device).view(y.shape)
    loss = (y * weights).sum() + sum(state.square().sum() for state in states if state is not None)
    wanted = [x for x in given if x is not None]
    grads = torch.autograd.grad(loss, wanted, create_graph=twice)
    found = [
        ("y", y),
        ("a", states[0]),
        ("b", states[1]),
        *((f"gradient {k}", grad) for k, grad in enumerate(grads)),
    ]
    if twice:
        loss = sum(grad.square().sum() for grad in grads)
        second = torch.autograd.grad(loss, wanted, allow_unused=True)
        found += [(f"second {k}", grad) for k, grad in enumerate(second)]
    return found


def inputs_of(
    step: Any,
    n_learned: int,
    n: int,
    kind: tuple[torch.dtype, torch.memory_format],
    constant: bool,
    started: bool,
) -> list[Tensor | None]:
    dtype, layout = kind
    precise = torch.promote_types(dtype, torch.float32)
    generator = torch.Generator().manual_seed(0)

    def maps(rows: int) -> Tensor:
        values = 0.5 * torch.randn(rows * BATCH, CHANNELS, 5, 7, generator=generator, dtype=torch.float64)
        return values.to(DEVICE, dtype).to(memory_format=layout)

    z = maps(1 if constant else n)
    a = maps(1).abs() if started else None
    b = maps(1).abs().to(precise) if started and step.has_second else None
    number = torch.linspace(0.2, 0.6, CHANNELS, device=DEVICE, dtype=precise).view(-1, 1, 1)
    return [z, a, b, *(number + 0.1 * k for k in range(n_learned))]


KINDS = {
    "double": (torch.float64, torch.channels_last, 1e-10),
    "single": (torch.float32, torch.contiguous_format, 2e-5),
    "bfloat16": (torch.bfloat16, torch.channels_last, 5e-2),
}


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether kernels are used; they are at first."""
    use = [True]
    monkeypatch.setattr(unit_steps, "has_kernel", lambda z: use[0])
    yield use


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("n", "constant", "started"), [(1, False, True), (3, False, False), (10, False, True), (10, True, True)]
)
@pytest.mark.parametrize("name", STEPS)
def test_kernels_equal_the_loop(
    name: str, n: int, constant: bool, started: bool, kind: str, kernels: list[bool]
) -> None:
    """Ten steps are two launches."""
    step, n_learned = STEPS[name]
    dtype, layout, tolerance = KINDS[kind]
    inputs = inputs_of(step, n_learned, n, (dtype, layout), constant, started)
    twice = n == 3 and kind == "double"
    found = results(step, inputs, n, twice)
    kernels[0] = False
    if dtype == torch.bfloat16:  # the loop would round at every step
        inputs = [x if x is None else x.float() for x in inputs]
    for (what, one), (_, other) in zip(found, results(step, inputs, n, twice), strict=True):
        assert (one is None) == (other is None), what
        if one is not None and other is not None:
            assert (one - other).norm() <= tolerance * (1 + other.norm()), what


@pytest.mark.parametrize("name", STEPS)
def test_what_is_not_a_number_stays_so(name: str, kernels: list[bool]) -> None:
    step, n_learned = STEPS[name]
    z, *others = inputs_of(step, n_learned, 5, (torch.float64, torch.channels_last), False, True)
    assert z is not None
    z[BATCH, 1, 2, 3] = torch.nan  # of the first image at the second step
    found = scan(step, z, 5, BATCH, *others[:2], others[2:])
    kernels[0] = False
    expected = scan(step, z, 5, BATCH, *others[:2], others[2:])
    assert int(expected[0].isnan().sum()) == 4
    for one, other in zip(found, expected, strict=True):
        assert one is other is None or torch.equal(one.isnan(), other.isnan())


SETTINGS: dict[str, dict[str, Any]] = {
    "suppression": {"intrinsic_suppression": 0.7},
    "suppression above an offset": {"intrinsic_suppression": 0.7, "intrinsic_suppression_offset": 0.1},
    "suppression of a supralinear drive": {
        "intrinsic_suppression": 0.7, "supralinearity": 1.5, "nonlinearity_position": "drive",
    },
    "supralinearity": {"supralinearity": 1.5, "recurrence_type": "depthpointwise"},
    "liquid": {"dynamics_solver": "liquid", "t_idle": 4.0},
    "suppression of liquid units with a learned tau": {
        "dynamics_solver": "liquid", "intrinsic_suppression": 0.7, "train_tau": True,
    },
    "suppression with a learned tau": {"intrinsic_suppression": 0.7, "train": ["tau.channel"]},
    "depression": {"synaptic_depression": 0.1, "t_feedback": 4.0, "feedback": "additive"},
}  # fmt: skip


@pytest.mark.skipif(DEVICE == "cpu", reason="of a GPU")
@pytest.mark.parametrize("name", SETTINGS)
def test_networks_are_those_of_a_cpu(name: str) -> None:
    arguments = {"input_dims": (11, 3, 16, 16), "n_classes": 4, "t_recurrence": 6.0, **SETTINGS[name]}
    model = randomize(create("DyRCNNx4", **arguments), gain=0.5)
    assert not model.plan().loops
    images = torch.randn(2, 3, 16, 16)
    compare(model, images, 1e-9, torch.float64)
    compare(model, images, 1e-3)
