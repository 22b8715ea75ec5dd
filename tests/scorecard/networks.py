"""Networks of one unit each layer: delayed normalisation by construction, and a chain that only passes on."""

from __future__ import annotations

import math

import torch
from torch import nn

from dynvision.base import CoreModel
from dynvision.model_components import DivisiveNormalization, ExponentialEulerStep, RecurrentConnectedConv2d


class OneUnitChain(CoreModel):
    """Layers of one channel that pass on what they hear with weight 1."""

    layers = ("V1",)

    def __init__(self, dt=1.0, **kwargs):
        super().__init__(input_dims=(1, 1, 2, 2), n_classes=1, dt=dt, **kwargs)
        self.double().eval()

    def _define_architecture(self):
        self.layer_names = list(self.layers)
        for layer in self.layers:
            self.add_module(
                layer, RecurrentConnectedConv2d(1, 1, 1, recurrence_type="none", bias=False, dt=self.dt)
            )
        self.classifier = nn.Linear(1, 1)

    @torch.no_grad()
    def _init_parameters(self):
        for layer in self.layers:
            getattr(self, layer).conv.weight.fill_(1.0)


class DelayedNormalizationNetwork(OneUnitChain):
    """Two leaky layers are h1; `DivisiveNormalization` on the third is the rest.

    Args:
        tau1, tau2: in ms.
        n, sigma: exponent and semi-saturation.
    """

    layers = ("first_leak", "second_leak", "V1")
    optional_operations = ("tstep", "norm")

    def __init__(self, tau1, tau2, n, sigma, **kwargs):
        self.parameters_of_the_model = (tau1, tau2, n, sigma)
        super().__init__(**kwargs)

    def _define_architecture(self):
        super()._define_architecture()
        tau1, tau2, n, sigma = self.parameters_of_the_model
        self.layer_operations = ["layer", "tstep", "norm", "record", "delay"]
        for layer in self.layers[:2]:
            self.add_module(f"tstep_{layer}", ExponentialEulerStep(self.dt, tau1))
        # The component takes Euler steps: of this time constant they are those of tau2 without an error of discretisation.
        euler = self.dt / -math.expm1(-self.dt / tau2)
        self.norm_V1 = DivisiveNormalization(euler, self.dt, sigma, n, gain=1.0)


class FeedforwardChain(OneUnitChain):
    """Without leak, recurrence and memory."""

    layers = ("V1", "V4", "IT")

    def _define_architecture(self):
        super()._define_architecture()
        self.layer_operations = ["layer", "nonlin", "record", "delay"]
        self.nonlin = nn.ReLU()
