"""Cells learn what needs memory and time: a sine, seen at irregular times, a quarter of a period ago.

The present value alone says nothing of it: the best guess is 0, with a mean squared error of 0.5. The last values do, for
who knows how far apart they were seen.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dynvision.neurons import RNN, AutoNCP, CfCCell, CTRNNCell, LTCCell

PERIOD_MS, B, T = 20.0, 32, 16
WITHOUT_MEMORY = 0.5  # mean squared error
CELLS = {
    "ltc": lambda: LTCCell(AutoNCP(16, 4, seed=1), 1, ode_unfolds=3, implicit_param_constraints=True),
    "cfc": lambda: CfCCell(1, 16, backbone_units=32),
    "ctrnn": lambda: CTRNNCell(1, 16, tau=4.0, train_tau=True, ode_unfolds=2),
}


def batch(generator):
    times = 0.5 + 3.0 * torch.rand(B, T, generator=generator)
    phase = 2 * math.pi * (times.cumsum(1) / PERIOD_MS + torch.rand(B, 1, generator=generator))
    return phase.sin()[..., None], times, -phase.cos()  # sin(phase - pi / 2)


def train(name, told=True):
    """Mean squared error on new sines after a training, of a network that is told the times or only their mean."""
    torch.manual_seed(0)
    network, generator = RNN(CELLS[name]()), torch.Generator().manual_seed(0)
    readout = nn.Linear(network.cell.output_size, 1)

    def error():
        inputs, times, target = batch(generator)
        outputs, _ = network(inputs, elapsed_time=times if told else 2.0)
        return (
            (readout(outputs)[..., 0] - target)[:, T // 2 :].square().mean()
        )  # once there is something to remember

    optimizer = torch.optim.Adam([*network.parameters(), *readout.parameters()], lr=0.02)
    for _ in range(120):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    with torch.no_grad():
        return sum(error().item() for _ in range(5)) / 5


@pytest.mark.parametrize("name", CELLS)
def test_a_delayed_sine_is_learned(name):
    assert train(name) < WITHOUT_MEMORY / 20


def test_knowing_the_time_helps():
    assert train("cfc") < train("cfc", told=False) / 5
