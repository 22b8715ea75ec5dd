"""The engine equals the textbook loop, outputs and gradients, for every way in which a model can be put together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynvision.config.model import RECURRENCE_TYPES
from dynvision.errors import InputError
from tests.base.small import Small, SmallTwoStage, build, compare, networks, targets_of


@given(
    network=networks(),
    n_timesteps=st.integers(1, 9),
    batch=st.integers(1, 3),
    idle=st.sampled_from([0.0, 0.0, 6.0]),
    block_steps=st.sampled_from([None, 1, 2, 5, 100]),
    as_video=st.booleans(),
    seed=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_engine_equals_textbook_loop(network, n_timesteps, batch, idle, block_steps, as_video, seed):
    kind, arguments = network
    if arguments["drive_noise"] and idle:
        batch = 1  # idle runs at batch one, so its noise is common to the batch
    model = build(kind, seed, n_timesteps=n_timesteps, t_idle=idle, block_steps=block_steps, **arguments)
    x = torch.randn(batch, 2, 10, 10, dtype=torch.float64)
    video = x.unsqueeze(1).expand(-1, n_timesteps, -1, -1, -1)
    if as_video:
        x = video = torch.randn(batch, n_timesteps, 2, 10, 10, dtype=torch.float64)
    compare(model, x, video)


EVERY = [
    (kind, recurrence_type, target)
    for kind in (Small, SmallTwoStage)
    for recurrence_type in RECURRENCE_TYPES
    for target in ("output", "middle", "input")
]
POSSIBLE = [case for case in EVERY if case[2] in targets_of(*case[:2])]


@pytest.mark.parametrize(("kind", "recurrence_type", "target"), POSSIBLE)
def test_every_recurrence_and_target(kind, recurrence_type, target):
    arguments = {"recurrence_type": recurrence_type, "recurrence_target": target, "t_recurrence": 4.0}
    model = build(kind, feedback="additive", t_feedback=6.0, **arguments)
    x = torch.randn(2, 2, 10, 10, dtype=torch.float64)
    compare(model, x, x.unsqueeze(1).expand(-1, 7, -1, -1, -1))


@pytest.mark.parametrize(
    ("kind", "recurrence_type", "target"), [case for case in EVERY if case not in POSSIBLE]
)
def test_what_is_not_possible_names_the_keys(kind, recurrence_type, target):
    reason = "recurrence_type" if target == "input" else "two stages"
    with pytest.raises(InputError, match=rf"(?=.*recurrence_target)(?=.*{reason})"):
        build(kind, recurrence_type=recurrence_type, recurrence_target=target, t_recurrence=4.0)
