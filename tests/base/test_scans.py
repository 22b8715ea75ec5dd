"""What of a layer runs as one operation in time equals the textbook loop, and the documentation says what does.

Leaky steps whose drive is known are joined on a GPU alone; here they are on a CPU, by the same code.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynvision.base import engine, scans
from dynvision.base.plan import LayerPlan
from dynvision.base.scans import log_loops, one_by_one, scan_of, steps_of
from dynvision.config.model import RECURRENCE_TYPES, SOLVERS
from dynvision.functional.maps import is_transformed
from dynvision.model_components import InputAdaptation, SynapticDepression
from dynvision.model_components.solvers import EulerStep
from dynvision.models import create
from tests.base.networks import watched
from tests.base.small import Small, SmallTwoStage, build, compare, networks

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.fixture(scope="module", autouse=True)
def joined() -> Iterator[None]:
    """Join steps as on a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "runs_steps_at_once", lambda z: not is_transformed())
        yield


def images(batch: int, n_timesteps: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(batch, 2, 10, 10, dtype=torch.float64)
    return x, x.unsqueeze(1).expand(-1, n_timesteps, -1, -1, -1)


@given(
    network=networks(),
    n_timesteps=st.integers(1, 9),
    idle=st.sampled_from([0.0, 6.0]),
    block_steps=st.sampled_from([None, 1, 2, 5]),
    seed=st.integers(0, 100),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_joined_steps_equal_the_textbook_loop(
    network: tuple[type, dict[str, Any]], n_timesteps: int, idle: float, block_steps: int | None, seed: int
) -> None:
    kind, arguments = network
    batch = 1 if arguments["drive_noise"] and idle else 2
    model = build(kind, seed, n_timesteps=n_timesteps, t_idle=idle, block_steps=block_steps, **arguments)
    compare(model, *images(batch, n_timesteps))


JOINED: dict[str, dict[str, Any]] = {
    **{f"recurrence {name}": {"recurrence_type": name} for name in ("self", "local", "depthpointwise")},
    "into the input": {"recurrence_target": "input", "t_recurrence": 4.0},
    "into the middle": {"kind": SmallTwoStage, "recurrence_target": "middle", "t_recurrence": 4.0},
    "multiplicative": {"recurrence_merge": "multiplicative", "feedback": "multiplicative"},
    "learned tau and rectified drive": {"nonlinearity_position": "drive", "train_tau": True},
    "tau of each channel": {"recurrence_type": "self", "train": ["tau.channel"]},
    "fourth order": {"dynamics_solver": "rk4", "t_recurrence": 6.0, "t_idle": 4.0},
    "noise": {"drive_noise": 0.2},
    "suppression": {"intrinsic_suppression": 0.6, "intrinsic_suppression_offset": 0.05, "t_idle": 4.0},
    "suppression of a supralinear drive": {
        "intrinsic_suppression": 0.6, "supralinearity": 1.4, "nonlinearity_position": "drive", "train_tau": True,
    },
    "liquid": {"dynamics_solver": "liquid", "train": ["tau.channel"]},
    "liquid rectified drive": {
        "dynamics_solver": "liquid", "intrinsic_suppression": 0.6, "nonlinearity_position": "drive",
    },
    "supralinearity": {"supralinearity": 1.4, "dynamics_solver": "rk4", "recurrence_type": "pointwise"},
}  # fmt: skip


@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("block_steps", [None, 1, 3])
def test_these_options_are_joined(name: str, block_steps: int | None) -> None:
    arguments = dict(JOINED[name])
    model = build(arguments.pop("kind", Small), n_timesteps=11, block_steps=block_steps, **arguments)
    layers = model.plan().layers
    assert all(scan_of(layer) is None and steps_of(layer) is not None for layer in layers)
    compare(model, *images(2, 11))


@pytest.mark.parametrize(
    "arguments",
    [JOINED[name] for name in ("fourth order", "multiplicative", "suppression", "supralinearity")],
)
def test_the_drive_that_observers_see_is_the_same(arguments: dict[str, Any], monkeypatch) -> None:
    model, (x, _) = build(Small, n_timesteps=8, **arguments), images(2, 8)
    y, together = watched(model, x, ["drive"])
    monkeypatch.setattr(engine, "runs_steps_at_once", lambda z: False)
    y_alone, alone = watched(model, x, ["drive"])
    torch.testing.assert_close(y, y_alone, rtol=0, atol=1e-12)
    assert together.keys() == alone.keys() and alone
    for where, drive in alone.items():
        torch.testing.assert_close(together[where].expand_as(drive), drive, rtol=0, atol=1e-12)


@pytest.mark.parametrize("suppression", [0.0, 0.5])
def test_a_solver_with_a_drive_of_its_own_keeps_it(suppression: float) -> None:
    """It is no plain leaky step, whose drive is the layer's; the engine once ran it as one."""

    class Doubled(EulerStep):
        def effective_drive(self, drives):
            return 2 * drives[0]

    model = build(Small, n_timesteps=6, intrinsic_suppression=suppression)
    for name in ("V1", "V2", "V4", "IT"):
        setattr(model, f"tstep_{name}", Doubled(2.0, 5.0).double())
    assert all(scan_of(layer) is None for layer in model.plan().layers)
    compare(model, *images(2, 6))


@pytest.mark.parametrize("offset", [0.0, 0.2])
@pytest.mark.parametrize("started", [False, True])
def test_input_adaptation_at_once_equals_its_steps(started: bool, offset: float) -> None:
    adaptation = InputAdaptation(0.7, 20.0, 2.0, offset)
    x = torch.randn(12, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    state = torch.rand(2, 2, 3, 3, dtype=torch.float64) if started else None
    results = []
    for run in (adaptation.run, adaptation.run_at_once):
        y, after = run(x, 6, state)
        weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
        (grad,) = torch.autograd.grad((y * weights).sum() + after.sum(), x)
        results.append((y, after, grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("started", [False, True])
def test_depression_at_once_equals_its_steps(started: bool) -> None:
    depression = SynapticDepression(0.3, 40.0, 6.0, 2.0)
    x = torch.randn(12, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    state = 0.4 * torch.rand(2, 2, 2, 3, 3, dtype=torch.float64) if started else None
    results = []
    for run in (depression.run, depression.run_at_once):
        y, after = run(x, 6, state)
        (grad,) = torch.autograd.grad(y.square().sum() + after.square().sum(), x)
        results.append((y, after, grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def path(layer: LayerPlan) -> tuple[str, str]:
    """How a layer runs on a GPU and on a CPU, in the words of the table."""
    if scan_of(layer) is not None:
        gpu, cpu = "one", "one"
    else:
        gpu, cpu = ("joined" if steps_of(layer) is not None else "loop"), "loop"
    loops = ", ".join(one_by_one(layer))
    both = (gpu if not loops else f"loop: {loops}" if gpu == "loop" else f"{gpu}; loop: {loops}"), cpu
    return (both[0], both[0]) if cpu == "one" else both


def rows() -> dict[str, tuple[str, str]]:
    """The table of the documentation: settings, on a GPU, on a CPU."""
    lines = PAGE.read_text().partition("| setting | on a GPU | on a CPU |")[2].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[: lines.index("")]]
    return {setting.strip("`"): (gpu, cpu) for setting, gpu, cpu in cells}


TABLE = rows()


def test_the_documentation_says_how_an_option_runs() -> None:
    assert {setting: path(first_layer(setting)) for setting in TABLE} == TABLE and len(TABLE) > 25


def first_layer(setting: str) -> LayerPlan:
    """Of a network with settings as the table writes them."""
    given = {} if setting == "(defaults)" else dict(item.split(": ") for item in setting.split(", "))
    arguments: dict[str, Any] = {
        key: [value.strip("[]")] if value.startswith("[") else {"true": True}.get(value, _number(value))
        for key, value in given.items()
    }
    kind = SmallTwoStage if arguments.get("recurrence_target") == "middle" else Small
    return build(kind, **arguments).plan().layers[0]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def test_the_documentation_has_every_option_of_the_dynamics() -> None:
    for key, names in {
        "dynamics_solver": SOLVERS,
        "recurrence_type": RECURRENCE_TYPES,
        "recurrence_merge": ["multiplicative"],
        "recurrence_target": ["input", "middle"],
        "feedback": ["additive", "multiplicative"],
        "nonlinearity_position": ["drive"],
    }.items():
        for name in set(names) - {"euler", "full"}:
            assert f"{key}: {name}" in TABLE
    for key in ("train_tau", "intrinsic_suppression", "input_adaptation", "divisive_normalization"):
        assert any(setting.startswith(f"{key}: ") for setting in TABLE)
    for key in ("synaptic_depression", "supralinearity", "drive_noise", "unit_bias", "retina"):
        assert any(setting.startswith(f"{key}: ") for setting in TABLE)


def test_batch_normalisation_in_training_is_a_loop() -> None:
    """Each step has statistics of its own; in eval mode all steps are normalised at once."""
    model = create("ResNet20", input_dims=(2, 3, 16, 16), n_classes=3)
    assert model.plan().loops and all("layer" in names for _, names in model.plan().loops)
    assert not model.eval().plan().loops


def test_what_runs_step_by_step_is_logged_once(caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    monkeypatch.setattr(scans, "_logged", set())
    with caplog.at_level(logging.INFO, logger="dynvision"):
        log_loops(build(Small).plan())
        assert not caplog.messages
        plan = build(Small, dynamics_solver="organics").plan()
        log_loops(plan)
        log_loops(plan)
    (message,) = caplog.messages
    assert message.startswith("run step by step on the GPU") and "V1: tstep; V2: tstep" in message
