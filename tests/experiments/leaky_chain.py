"""A network whose responses can be computed by hand: two leaky units that add nothing of their own.

tau dA/dt = -A + mean x        tau dB/dt = -B + A        outputs (B, theta): class 1 is guessed while B < theta
"""

from __future__ import annotations

import torch
from torch import nn

from dynvision.base import CoreModel
from dynvision.model_components import ExponentialEulerStep, RecurrentConnectedConv2d

TAU = 10.0


class LeakyChain(CoreModel):
    """Layers A and B of one map each, integrated exactly for a constant drive.

    Args:
        theta: what B must exceed for class 0.
    """

    def __init__(self, theta: float = 0.3, **kwargs):
        self.theta = theta
        super().__init__(n_classes=2, **kwargs)
        self.double().eval()

    def _define_architecture(self):
        self.layer_names = ["A", "B"]
        self.layer_operations = ["layer", "tstep", "record", "delay"]
        for layer in self.layer_names:
            conv = RecurrentConnectedConv2d(1, 1, 1, recurrence_type="none", dt=self.dt)
            self.add_module(layer, conv)
            self.add_module(f"tstep_{layer}", ExponentialEulerStep(dt=self.dt, tau=TAU))
        self.classifier = nn.Linear(1, 2)

    @torch.no_grad()
    def _init_parameters(self):
        for layer in self.layer_names:
            conv = getattr(self, layer).conv
            conv.weight.fill_(1.0)
            conv.bias.zero_()
        self.classifier.weight.copy_(torch.tensor([[1.0], [0.0]]))
        self.classifier.bias.copy_(torch.tensor([0.0, self.theta]))
