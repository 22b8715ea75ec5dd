"""Networks of three small areas, of random type, delays, solver and extras."""

from __future__ import annotations

import random

import torch

from dynvision.models.dyrcnn import Area, DyRCNN
from tests.base.networks import randomize

CHOICES = {
    "recurrence_type": ["none", "self", "full", "local", "pointdepthwise"],
    "recurrence_merge": ["additive", "multiplicative"],
    "t_recurrence": [2.0, 6.0],
    "t_feedforward": [0.0, 4.0],
    "t_skip": [0.0, 6.0],
    "t_feedback": [2.0, 8.0],
    "feedback": ["none", "additive", "multiplicative"],
    "dynamics_solver": ["euler", "exponential_euler", "rk4"],
    "nonlinearity_position": ["state", "drive"],
    "supralinearity": [1.0, 1.3],
    "input_adaptation": [0.0, 0.5],
    "intrinsic_suppression": [0.0, 0.7],
    "divisive_normalization": [False, True],
    "retina": [False, True],
    "t_idle": [0.0, 6.0],
    "feedforward_only": [False, False, True],
}


class Small(DyRCNN):
    """Three areas, the second of two stages."""

    areas = (
        Area("V1", 4, 3, pool=(3, 2, 1)),
        Area("V2", 9, 3, mid_channels=4),
        Area("IT", 4, 3, stride=2),
    )
    skips = (("V1", "IT"),)
    feedbacks = (("IT", "V1"),)


def small(seed=0, n_timesteps=7, **arguments):
    return randomize(
        Small(input_dims=(n_timesteps, 2, 8, 8), n_classes=3, **arguments).double(), seed, gain=0.7
    ).eval()


def arbitrary(seed):
    """A network of random type, delays, solver and extras."""
    rng = random.Random(seed)
    return small(seed, **{name: rng.choice(values) for name, values in CHOICES.items()})


def images(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
