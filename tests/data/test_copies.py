"""Copies of images in two splits or in two classes are said; images that are all the same are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynvision.config.data import DataConfig
from dynvision.data.conversion import Copies, convert_dataset
from dynvision.errors import InputError
from tests.data.conftest import MakeFolder


@pytest.fixture
def given_splits(make_folder: MakeFolder) -> Path:
    """Training and test images of two classes, all different."""
    make_folder("set/train", cat=8, dog=8)
    root = make_folder("set/test", cow=3).parent
    (root / "test" / "cow").rename(root / "test" / "dog")
    (root / "test" / "cat").mkdir()
    for image in range(3):
        pixels = np.random.default_rng(77 + image).integers(0, 256, (10, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "test" / "cat" / f"{image:03}.png")
        pixels = np.random.default_rng(99 + image).integers(0, 256, (10, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "test" / "dog" / f"{image:03}.png")
    return root


def said_of(root: Path, capsys: pytest.CaptureFixture[str], **settings: object) -> list[str]:
    config = DataConfig(name=f"folder:{root}", resolution=8, split_seed=1, **settings)
    convert_dataset(config, root.parent / "data", "torch")
    return capsys.readouterr().out.splitlines()


def test_different_images_need_no_word(given_splits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said_of(given_splits, capsys) == []


def test_copies_in_the_test_set_are_counted_and_three_named(
    given_splits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for image in range(4):
        shutil.copy(
            given_splits / "train" / "cat" / f"00{image}.png", given_splits / "test" / "cat" / f"x{image}.png"
        )
    said = said_of(given_splits, capsys, validation_fraction=0.01)
    taken = {
        pair for line in said for pair in line.partition(": ")[2].removesuffix(" and 1 more").split(", ")
    }
    assert sum(int(line.split()[0]) for line in said) == 4
    assert all("and the test set: " in line for line in said)
    assert taken <= {f"train/cat/00{n}.png = test/cat/x{n}.png" for n in range(4)} and len(taken) == 3 + (
        len(said) > 1
    )


def test_copies_in_two_classes_are_named(given_splits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(given_splits / "test" / "cat" / "001.png", given_splits / "test" / "dog" / "same.png")
    assert said_of(given_splits, capsys) == [
        "1 image is in several classes: test/cat/001.png = test/dog/same.png"
    ]
    # of a group, too, in which images have other indices
    assert said_of(given_splits, capsys, group=["cat", "dog"])[1:] == [
        "1 image is in several classes: test/cat/001.png = test/dog/same.png"
    ]


def test_a_copy_in_another_format_is_one(given_splits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.open(given_splits / "test" / "dog" / "002.png").save(given_splits / "test" / "cat" / "other.bmp")
    assert said_of(given_splits, capsys) == [
        "1 image is in several classes: test/cat/other.bmp = test/dog/002.png"
    ]


def test_copies_are_counted_by_pair_of_splits() -> None:
    copies = Copies()
    images = [np.full((2, 2, 1), value, np.uint8) for value in range(9)]
    for index, value in enumerate((0, 1, 2, 3)):
        copies.add("train", index, value % 2, images[value])
    for index, value in enumerate((3, 4)):
        copies.add("val", 10 + index, 1, images[value])
    for index, value in enumerate((0, 0, 1, 2, 3, 4, 5)):
        copies.add("test", 20 + index, value % 2, images[value])
    assert copies.n_distinct("train") == 4
    assert copies.sentences(str) == [
        "1 image is in the training and the validation set: 3 = 10",
        "5 images are in the training and the test set: 0 = 20, 0 = 21, 1 = 22 and 2 more",
        "2 images are in the validation and the test set: 10 = 24, 11 = 25",
        "1 image is in several classes: 11 = 25",
    ]


@pytest.mark.parametrize(
    "pixels", [np.zeros((8, 8, 3), np.uint8), np.arange(192, dtype=np.uint8).reshape(8, 8, 3)]
)
def test_training_images_that_are_all_the_same_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for image in range(5):
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{image}.png")
    config = DataConfig(name=f"folder:{tmp_path / 'set'}", resolution=8, split_seed=1)
    with pytest.raises(
        InputError, match=r"all 6 training images of folder:.* are the same at 8 x 8 px.*look at cat/"
    ):
        convert_dataset(config, tmp_path / "data", "torch")
    assert not list((tmp_path / "data").iterdir())
