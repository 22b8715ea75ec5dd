"""A leaky layer with recurrence, whose step can be written out."""

from __future__ import annotations

import torch
from torch import nn

from dynvision.base import CoreModel
from dynvision.model_components import EulerStep, RecurrentConnectedConv2d

DT, TAU = 2.0, 10.0


class OneLayer(CoreModel):
    """One leaky layer with recurrence."""

    def __init__(self, recurrence_type="full", t_recurrence=6.0, channels=2, leak=True, **kwargs):
        self.layer_arguments = (recurrence_type, t_recurrence, channels, leak)
        super().__init__(input_dims=(5, 1, 3, 3), n_classes=2, dt=DT, tau=TAU, **kwargs)
        self.double().eval()

    def _define_architecture(self):
        recurrence_type, t_recurrence, channels, leak = self.layer_arguments
        self.layer_names = ["V1"]
        self.layer_operations = ["layer", *(["tstep"] if leak else []), "nonlin", "record", "delay"]
        self.V1 = RecurrentConnectedConv2d(
            1, channels, 3, recurrence_type=recurrence_type, t_recurrence=t_recurrence, dt=self.dt
        )
        if leak:
            self.tstep = EulerStep(self.dt, self.tau)
        self.nonlin = nn.ReLU()
        self.classifier = nn.Linear(channels, 2)


def image(channels=1, size=3):
    return torch.rand(
        1, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    )
