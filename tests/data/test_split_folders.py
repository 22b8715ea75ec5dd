"""Folders of splits in their spellings, and folders that could be splits or classes."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from dynvision.data.sources.class_folders import ClassFolders, list_class_folders
from dynvision.errors import InputError
from tests.data.conftest import write_image


def lay_out(root: Path, *places: str, n_images: int = 2) -> Path:
    """A folder with a few images in each place."""
    for number, place in enumerate(places):
        for image in range(n_images):
            write_image(root / place / f"{image}.png", 10 * number + image)
    return root


def counts(listed: ClassFolders) -> dict[str, int]:
    return dict(Counter(file.rsplit("/", 1)[0] for file in listed.files))


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Train", "Val", "Test"),
        ("TRAIN", "VALID", "TESTING"),
        ("training", "validation", "testing"),
        ("Training", "Validation", "Testing"),
        ("train", "valid", "test"),
        ("train", "dev", "test"),
        ("Training", "", "test"),
        ("Train", "", "Test"),
    ],
)
def test_every_spelling_is_a_split(tmp_path: Path, train: str, val: str, test: str) -> None:
    spelt = {"train": train, "val": val, "test": test}
    spelt = {split: name for split, name in spelt.items() if name}
    root = lay_out(tmp_path, *(f"{name}/{kind}" for name in spelt.values() for kind in ("cat", "dog")))
    listed = list_class_folders(root)
    assert listed.class_names == ("cat", "dog")
    assert set(listed.given_splits) == set(spelt)
    for split, name in spelt.items():
        files = [listed.files[index] for index in listed.given_splits[split]]
        assert files == [f"{name}/{kind}/{image}.png" for kind in ("cat", "dog") for image in (0, 1)]


@pytest.mark.parametrize(
    ("places", "message"),
    [
        # a split twice
        (("train/a", "train/b", "Training/a", "Training/b", "test/a", "test/b"), "'train'.*stand for train"),
        (("train/a", "train/b", "test/a", "test/b", "val/a", "valid/a"), "'val', 'valid'.*stand for val"),
        # not all are known
        (("train/a", "train/b", "test/a", "test/b", "extra/a", "extra/b"), "beside them 'extra'"),
        (("train/a", "train/b", "test/a", "test/b", "holdout/a"), "beside them 'holdout'"),
        (("train/a", "train/b", "test_set/a", "test_set/b"), "beside them 'test_set'"),
        # the same folders in each
        (("fold1/a", "fold1/b", "fold2/a", "fold2/b"), "fold1 and fold2 both hold 'a', 'b'"),
        (("one/a", "one/b", "two/a"), "one and two both hold 'a'"),
        (("train_images/a", "train_images/b", "test_images/a", "test_images/b"), "may be splits or classes"),
        # images without classes
        (("train/a", "train/b", "test"), "test holds images without class folders"),
        (("train/a", "train/b", "test/a", "test/b", "val"), "val holds images without class folders"),
        (("train", "test"), "'test', 'train'.*no class folders"),
        (("train",), "'train'.*no class folders"),
        (("train2017", "val2017"), "'train2017', 'val2017' may be splits or classes"),
        (("trainSet", "testSet"), "may be splits or classes"),
        (("cat", "dog", "test"), "'test' may be splits or classes"),
        # a split is missing
        (("test/a", "test/b", "val/a", "val/b"), "no train folder"),
        (("Train/a", "Train/b", "Valid/a", "Valid/b"), "no test folder beside it; rename its Valid folder"),
        (("Train/a", "Train/b"), "no test folder beside it; give folder:.*Train"),
        # one folder too high
        (("pictures/a", "pictures/b"), "give folder:.*pictures"),
    ],
)
def test_what_can_mean_two_things_is_asked_about(
    tmp_path: Path, places: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        list_class_folders(lay_out(tmp_path, *places, n_images=1))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("places", "classes"),
    [
        (("bus", "car", "train"), ("bus", "car", "train")),  # CIFAR-100 has a class of trains
        (("n01/images", "n02/images"), ("n01", "n02")),  # a split has two classes at least
        (("cat/indoors", "cat/outdoors", "dog"), ("cat", "dog")),
        (("beaker", "test_tube"), ("beaker", "test_tube")),
    ],
)
def test_classes_stay_classes(tmp_path: Path, places: tuple[str, ...], classes: tuple[str, ...]) -> None:
    listed = list_class_folders(lay_out(tmp_path, *places))
    assert listed.class_names == classes and listed.given_splits == {}
    assert counts(listed) == dict.fromkeys(places, 2)


def test_folders_without_files_are_no_splits(tmp_path: Path) -> None:
    root = lay_out(tmp_path, "train/a", "train/b", "test/a", "test/b", "__MACOSX/train")
    (root / "logs").mkdir()
    assert set(list_class_folders(root).given_splits) == {"train", "test"}


def test_an_accent_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "\u00e9clair") for form in ("NFC", "NFD"))
    root = lay_out(tmp_path, f"train/{composed}", "train/tea", f"test/{apart}", "test/tea")
    listed = list_class_folders(root)
    assert listed.class_names == ("tea", composed)
    assert listed.labels[listed.given_splits["test"]].tolist() == [1, 1, 0, 0]
    with pytest.raises(InputError, match=r"read the same, 'e\\u0301clair' and '\\xe9clair'"):
        list_class_folders(lay_out(tmp_path / "other", composed, apart))


def test_notes_have_a_fixed_order(tmp_path: Path) -> None:
    """Images beside class folders are noted of the folder itself and then of each split, in the order of the splits."""
    for part in ("", "test", "train", "val"):
        write_image(tmp_path / part / "beside.png", 1)
    for split in ("test", "train", "val"):
        for name in ("cat", "dog"):
            write_image(tmp_path / split / name / "1.png", 2)
    found = [note.split(" right in ")[1].split(",")[0] for note in list_class_folders(tmp_path).notes]
    assert found == [str(tmp_path), *(str(tmp_path / split) for split in ("train", "val", "test"))]
