"""Orders of images: permutations by seed and epoch, and round robin over classes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dynvision.data.splits import (
    PAGES_AT_ONCE,
    Order,
    interleaved_order,
    quasi_random_order,
    share,
    training_order,
)


@given(n=st.integers(1, 200), seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 1000))
def test_training_order_is_a_permutation_fixed_by_seed_and_epoch(n: int, seed: int, epoch: int) -> None:
    order = training_order(n, seed, epoch)
    assert sorted(order) == list(range(n))
    assert np.array_equal(order, np.random.default_rng([seed, epoch]).permutation(n))


def test_epochs_and_seeds_differ() -> None:
    orders = {training_order(50, seed, epoch).tobytes() for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_an_order_follows_its_epoch() -> None:
    order = Order(30, lambda epoch: training_order(30, 4, epoch))
    order.set_epoch(7)
    assert len(order) == 30
    assert np.array_equal(order.positions(), training_order(30, 4, 7))


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


@given(n=st.integers(1, 300), page=st.integers(1, 40), seed=st.integers(0, 99), epoch=st.integers(0, 99))
def test_quasi_random_order_stays_within_a_few_pages(n: int, page: int, seed: int, epoch: int) -> None:
    order = quasi_random_order(n, page, seed, epoch)
    assert sorted(order) == list(range(n))
    assert np.array_equal(order, quasi_random_order(n, page, seed, epoch))
    pages = [number // page for number in order]
    done: set[int] = set()
    while pages:  # each stretch is of whole pages, of which no more than so many
        near = list(dict.fromkeys(pages))[:PAGES_AT_ONCE]
        stretch = sum(min((number + 1) * page, n) - number * page for number in near)
        if len(set(pages[:stretch])) > len(
            near
        ):  # the last page may be smaller and come later in the stretch
            near = sorted(set(pages[:stretch]))
        assert len(near) <= PAGES_AT_ONCE
        assert not done & set(near)
        done |= set(near)
        pages = pages[stretch:]


def test_quasi_random_order_differs_between_epochs() -> None:
    assert len({quasi_random_order(60, 10, 1, epoch).tobytes() for epoch in range(10)}) == 10


@given(n=st.integers(1, 60), batch_size=st.integers(1, 9), n_ranks=st.integers(1, 5))
def test_processes_share_each_batch_equally(n: int, batch_size: int, n_ranks: int) -> None:
    positions = np.random.default_rng(n).permutation(n)
    shares = [share(positions, batch_size, rank, n_ranks) for rank in range(n_ranks)]
    sizes = [[len(batch) for batch in of_rank] for of_rank in shares]
    assert all(of_rank == sizes[0] for of_rank in sizes)
    assert len(sizes[0]) == -(-n // (batch_size * n_ranks))
    assert all(size == batch_size for size in sizes[0][:-1])
    together = [np.concatenate(parts).tolist() for parts in zip(*shares, strict=True)]
    shown = [position for batch in together for position in batch]
    assert shown[:n] == positions.tolist()  # as one process with batches that are n_ranks times as large
    assert len(shown) - n < n_ranks
    assert set(shown) == set(range(n))
