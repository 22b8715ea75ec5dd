"""Numbers by place: as published, uniform, and unrelated between places."""

from __future__ import annotations

import numpy as np

from dynvision.data.counter_random import GOLDEN, mix, uniform


def splitmix64(state: int, n: int) -> list[int]:
    """The generator of Steele et al. (2014), in Python's whole numbers."""
    words, mask = [], 2**64 - 1
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        words.append(z ^ (z >> 31))
    return words


def test_mix_is_that_of_splitmix64() -> None:
    assert splitmix64(1234567, 2) == [6457827717110365317, 3203168211198807973]  # as widely published
    with np.errstate(over="ignore"):
        states = np.uint64(1234567) + GOLDEN * np.arange(1, 51, dtype=np.uint64)
    assert mix(states).tolist() == splitmix64(1234567, 50)


def test_words_are_mixed_one_after_the_other() -> None:
    first = splitmix64(7, 1)[0]
    second = splitmix64((first + 3) % 2**64, 1)[0]
    assert uniform(7, 3) == (second >> 11) / 2**53


def test_a_number_depends_on_its_place_only() -> None:
    images = np.arange(50)
    whole = uniform(1, 4, images[:, None], 0, np.arange(3)[None, :])
    assert whole.shape == (50, 3)
    for image in (0, 7, 49):
        for draw in range(3):
            assert uniform(1, 4, image, 0, draw) == whole[image, draw]


def test_numbers_are_uniform_and_unrelated() -> None:
    u = uniform(0, np.arange(20)[:, None, None], np.arange(500)[None, :, None], np.arange(5)[None, None, :])
    counts = np.histogram(u, bins=20, range=(0, 1))[0]
    expected = u.size / 20
    assert (
        (counts - expected) ** 2 / expected
    ).sum() < 43.8  # chi-squared with 19 degrees of freedom, p = 0.001
    for axis in range(3):
        near, far = np.delete(u, -1, axis).ravel() - 0.5, np.delete(u, 0, axis).ravel() - 0.5
        assert abs((near * far).mean() * 12) < 4 / np.sqrt(near.size)
