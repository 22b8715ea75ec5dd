"""What the engine tells of drive, recurrence and convolution is what the textbook loop has, and changes nothing."""

from __future__ import annotations

import pytest
import torch

from dynvision.base.observers import QUANTITIES
from dynvision.errors import InputError
from tests.base.networks import watched
from tests.base.small import Small, SmallTwoStage, build
from tests.textbook_loop import textbook_loop

CASES = {
    "plain": {},
    "one operation": {"recurrence_type": "full", "skip": False, "t_recurrence": 4.0},
    "nothing recurrent": {"recurrence_type": "none"},
    "all connections": {"feedback": "additive", "t_feedback": 4.0, "t_feedforward": 2.0, "t_idle": 4.0},
    "fourth order": {"dynamics_solver": "rk4", "recurrence_type": "depthwise"},
    "into the input": {"recurrence_target": "input", "intrinsic_suppression": 0.5},
    "rate equation": {"nonlinearity_position": "drive", "recurrence_merge": "multiplicative"},
}


@pytest.mark.parametrize("kind", [Small, SmallTwoStage])
@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES)
@pytest.mark.parametrize("block_steps", [None, 1, 3])
def test_what_is_told_is_what_the_loop_has(kind, arguments, block_steps):
    model = build(kind, n_timesteps=8, block_steps=block_steps, **arguments)
    x = torch.randn(2, 2, 10, 10, dtype=torch.float64)
    y, told = watched(model, x, QUANTITIES)
    seen = {}
    loop_y, activity = textbook_loop(model, x.unsqueeze(1).expand(-1, 8, -1, -1, -1), seen=seen)
    torch.testing.assert_close(y, loop_y, rtol=1e-12, atol=1e-10)
    seen = {where: value for where, value in seen.items() if where[2] >= 0 and value is not None}
    seen |= {
        ("state", layer, t): r
        for layer, steps in activity.items()
        for t, r in enumerate(steps)
        if r is not None
    }
    if model.V1.recurrence_target != "output":  # the loop then has no convolution by itself
        told = {where: value for where, value in told.items() if where[0] != "conv"}
    assert told.keys() == seen.keys()
    assert ("drive", "V1", 0) in seen
    for where, value in seen.items():
        torch.testing.assert_close(
            told[where].expand_as(value), value, rtol=1e-12, atol=1e-10, msg=str(where)
        )


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_who_listens_changes_nothing(quantity):
    model = build(Small, n_timesteps=8, t_recurrence=4.0, feedback="additive", t_feedback=6.0)
    x = torch.randn(2, 2, 10, 10, dtype=torch.float64)
    results = []
    for quantities in ((), (quantity,)):
        y, _ = watched(model, x, quantities)
        results.append((y, *torch.autograd.grad(y.square().sum(), list(model.parameters()))))
    for alone, heard in zip(*results, strict=True):
        torch.testing.assert_close(heard, alone, rtol=1e-10, atol=1e-10)


def test_an_unknown_quantity_is_named():
    model = build(Small, n_timesteps=2)
    with pytest.raises(InputError, match="unknown quantity 'drives' .* did you mean 'drive'"):
        model(torch.zeros(1, 2, 10, 10, dtype=torch.float64), watch={"drives": print})
