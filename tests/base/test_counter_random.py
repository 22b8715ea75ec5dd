"""Random numbers that are a function of a key."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynvision.functional import counter_random
from dynvision.functional.counter_random import random_key, random_normal, random_uniform


def test_bits_are_those_of_splitmix64() -> None:
    """The first numbers of the reference implementation with the seeds 0 and 1234567."""
    bits = counter_random._bits(torch.tensor([0, 1234567]), 3)
    assert [[value % 2**64 for value in row] for row in bits.tolist()] == [
        [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F],
        [6457827717110365317, 3203168211198807973, 9817491932198370423],
    ]


def test_uniform_numbers_are_uniform() -> None:
    u = random_uniform(random_key(torch.arange(100)), (50, 40))
    assert u.shape == (100, 50, 40) and u.dtype == torch.float32
    assert u.min() > 0 and u.max() < 1
    counts = np.histogram(u.numpy(), bins=50, range=(0, 1))[0]
    chi_squared = ((counts - 4000) ** 2 / 4000).sum()
    assert chi_squared < 94  # the 99.99 % quantile with 49 degrees of freedom


def test_normal_numbers_are_normal() -> None:
    z = random_normal(random_key(torch.arange(99)), (2001,)).double()
    assert z.shape == (99, 2001)
    n = z.numel()
    for power, moment in {1: 0.0, 2: 1.0, 3: 0.0, 4: 3.0}.items():
        spread = {1: 1.0, 2: 2.0, 3: 15.0, 4: 96.0}[power]
        assert (z**power).mean().item() == pytest.approx(moment, abs=5 * (spread / n) ** 0.5)
    pairs = torch.stack([z[:, :1000], z[:, 1001:]])  # the two of one pair of Box and Muller
    assert (pairs[0] * pairs[1]).mean().item() == pytest.approx(0, abs=0.02)
    assert (pairs[0] ** 2 * pairs[1] ** 2).mean().item() == pytest.approx(1, abs=0.05)


def test_keys_depend_on_every_part_and_their_order() -> None:
    keys = [random_key(1, 2), random_key(2, 1), random_key(1), random_key(1, 2, 0), random_key(0, 1, 2)]
    assert len({int(key) for key in keys}) == 5
    grid = random_key(torch.arange(200), torch.arange(200)[:, None], -3)
    assert grid.shape == (200, 200) and len(grid.unique()) == 40_000
    assert grid[3, 5] == random_key(5, 3, -3)


def test_a_stream_is_its_own_prefix_and_knows_no_other_key() -> None:
    keys = random_key(torch.arange(4))
    assert torch.equal(random_uniform(keys, (10,))[:, :4], random_uniform(keys, (4,)))
    assert torch.equal(random_uniform(keys, (10,))[2:3], random_uniform(keys[2:3], (10,)))
