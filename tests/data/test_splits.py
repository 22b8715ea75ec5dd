"""Splits: disjoint, complete, stratified, a function of the seed; and classes that are too small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynvision.config.data import DataConfig
from dynvision.data.sources import ImageSource
from dynvision.data.splits import SPLITS, split_source
from dynvision.errors import InputError


class Labelled(ImageSource):
    """A source with labels and no images."""

    def __init__(self, labels: list[int], given_splits: dict[str, NDArray[np.int64]] | None = None) -> None:
        self.labels = np.array(labels, dtype=np.int64)
        self.class_names = tuple(f"class{label}" for label in range(max(labels) + 1))
        self.given_splits = given_splits or {}

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        raise NotImplementedError

    def sha256(self) -> str:
        return ""


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=6),
    test_fraction=st.floats(0.05, 0.95),
    validation_fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**31 - 1),
)
def test_splits_are_disjoint_complete_and_stratified(
    counts: list[int], test_fraction: float, validation_fraction: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    source = Labelled(np.random.default_rng(seed).permutation(labels).tolist())
    config = DataConfig(test_fraction=test_fraction, validation_fraction=validation_fraction, split_seed=seed)
    splits = split_source(source, config)
    assert sorted(np.concatenate([splits[name] for name in SPLITS])) == list(range(len(labels)))
    for label, count in enumerate(counts):
        n = {name: int((source.labels[splits[name]] == label).sum()) for name in SPLITS}
        assert min(n.values()) >= 1
        assert abs(n["test"] - test_fraction * count) <= 1 or n["train"] == n["val"] == 1
        assert abs(n["val"] - validation_fraction * (count - n["test"])) <= 1
    again = split_source(source, config)
    assert all(np.array_equal(splits[name], again[name]) for name in SPLITS)


def test_split_by_hand() -> None:
    splits = split_source(Labelled([0] * 20 + [1] * 10), DataConfig(split_seed=0))
    assert {name: np.bincount(np.arange(30)[indices] // 20).tolist() for name, indices in splits.items()} == {
        "train": [14, 7],  # 20 - 4 - round(1.6), 10 - 2 - round(0.8)
        "val": [2, 1],
        "test": [4, 2],
    }


def test_another_seed_is_another_split() -> None:
    source = Labelled([0, 1] * 50)
    first, second = (split_source(source, DataConfig(split_seed=seed)) for seed in (1, 2))
    assert not np.array_equal(first["test"], second["test"])
    assert not np.array_equal(first["val"], second["val"])


def test_classes_draw_independently() -> None:
    test = split_source(Labelled([0] * 50 + [1] * 50), DataConfig(split_seed=1))["test"]
    assert test[:10].tolist() != (test[10:] - 50).tolist()


def test_another_class_leaves_the_others_as_they_are() -> None:
    config = DataConfig(split_seed=5)
    two = split_source(Labelled([0] * 30 + [1] * 30), config)
    three = split_source(Labelled([0] * 30 + [1] * 30 + [2] * 30), config)
    for name in SPLITS:
        assert np.array_equal(two[name], three[name][three[name] < 60])


@pytest.mark.parametrize(
    ("given_names", "n_needed"), [((), 3), (("train", "test"), 2), (("train", "val", "test"), 1)]
)
def test_small_class_is_named_with_its_count(given_names: tuple[str, ...], n_needed: int) -> None:
    def source(count: int) -> Labelled:
        n = 10 + count
        later = [np.array([n + i]) for i in range(len(given_names) - 1)]
        given = dict(zip(given_names, [np.arange(n), *later], strict=False))
        return Labelled([0] * 10 + [1] * count + [0] * len(later), given)

    split_source(source(n_needed), DataConfig(split_seed=0))
    if n_needed > 1:
        message = rf"class 'class1' has {n_needed - 1} images? .* at least {n_needed} are needed"
        with pytest.raises(InputError, match=message):
            split_source(source(n_needed - 1), DataConfig(split_seed=0))


def test_given_splits_are_kept() -> None:
    given = {"train": np.arange(0, 20), "test": np.arange(20, 24)}
    splits = split_source(Labelled([0, 1] * 12, given), DataConfig(split_seed=0))
    assert splits["test"].tolist() == [20, 21, 22, 23]
    assert len(splits["val"]) == 2  # a tenth of the training images of each class
    assert sorted([*splits["train"], *splits["val"]]) == list(range(20))


@pytest.mark.parametrize("seed", [None, -1])
def test_seed_is_needed(seed: int | None) -> None:
    with pytest.raises(InputError, match="split_seed"):
        split_source(Labelled([0, 1] * 10), DataConfig(split_seed=seed))
