"""Orders of images: permutations by seed and epoch, and round robin over classes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dynvision.data.orders import FixedOrder, ShuffledOrder, interleaved_order, training_order


@given(n=st.integers(1, 200), seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 1000))
def test_training_order_is_a_permutation_fixed_by_seed_and_epoch(n: int, seed: int, epoch: int) -> None:
    order = training_order(n, seed, epoch)
    assert sorted(order) == list(range(n))
    assert np.array_equal(order, np.random.default_rng([seed, epoch]).permutation(n))


def test_epochs_and_seeds_differ() -> None:
    orders = {training_order(50, seed, epoch).tobytes() for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_shuffled_order_follows_its_epoch() -> None:
    order = ShuffledOrder(30, seed=4)
    order.set_epoch(7)
    assert np.array_equal(order.positions(), training_order(30, 4, 7))


def test_fixed_order_does_not() -> None:
    order = FixedOrder(np.arange(5))
    order.set_epoch(7)
    assert order.positions().tolist() == [0, 1, 2, 3, 4]


def test_interleaved_order_by_hand() -> None:
    labels = np.array([2, 0, 0, 1, 0, 1])
    assert interleaved_order(labels).tolist() == [1, 3, 0, 2, 5, 4]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_every_prefix_is_balanced(labels_given: list[int]) -> None:
    labels = np.array(labels_given)
    order = interleaved_order(labels)
    assert sorted(order) == list(range(len(labels)))
    totals = np.bincount(labels, minlength=5)
    for end in range(1, len(labels) + 1):
        counts = np.bincount(labels[order[:end]], minlength=5)
        unfinished = counts[counts < totals]
        if len(unfinished):
            assert counts.max() - unfinished.min() <= 1
