"""Public data sets in their own formats: every pixel and label, what is damaged, and where classes come from."""

from __future__ import annotations

import gzip
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from dynvision.config.data import DataConfig
from dynvision.data.downloads import DATA_VARIABLE
from dynvision.data.sources import open_source
from dynvision.data.sources.arrays import VERSIONS, read_idx
from dynvision.data.sources.files import imagenet_synsets
from dynvision.errors import InputError
from tests.data.true_formats import (
    TINY_SYNSETS,
    idx_bytes,
    write_archive,
    write_cifar,
    write_dataset,
    write_idx,
    write_imagenet,
    write_tar,
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where data sets are looked for."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashionmnist"])
def test_idx_files_give_their_arrays(root: Path, name: str, compressed: bool) -> None:
    parts = write_idx(root / name, compressed)
    source = open_source(DataConfig(name=name))
    pixels = np.concatenate([parts["train"][0], parts["t10k"][0]])
    labels = np.concatenate([parts["train"][1], parts["t10k"][1]])
    assert source.labels.tolist() == labels.tolist()
    assert all(np.array_equal(source[index][0][:, :, 0], pixels[index]) for index in range(80))
    assert {split: len(indices) for split, indices in source.given_splits.items()} == {
        "train": 60,
        "test": 20,
    }
    colour = open_source(DataConfig(name=name, n_channels=3))
    assert np.array_equal(colour[3][0], pixels[3][:, :, None].repeat(3, axis=2))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-5], "is damaged"),
        (lambda content: b"<html>not here</html>", "is damaged"),
        (
            lambda content: gzip.compress(gzip.decompress(content)[:-1]),
            "is not whole: it has 47,039 of 47,040",
        ),
        (lambda content: gzip.compress(b"\0\0\x0d\x01" + bytes(8)), "is not an IDX file of unsigned bytes"),
        (lambda content: gzip.compress(b"\0\0"), "is not an IDX file"),
        (lambda content: gzip.compress(idx_bytes(np.zeros((59, 28, 28), np.uint8))), "do not agree"),
    ],
)
def test_damaged_idx_file_is_named(root: Path, damage, message: str) -> None:
    write_idx(root / "mnist")
    path = root / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"train-images-idx3-ubyte\.gz.*{message}.*delete"):
        open_source(DataConfig(name="mnist"))


def test_idx_files_of_any_dimension(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    (tmp_path / "x").write_bytes(idx_bytes(array))
    assert np.array_equal(read_idx(tmp_path / "x"), array)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_gives_its_arrays(root: Path, name: str, archive: bool) -> None:
    parts = write_cifar(root / name, name, archive)
    source = open_source(DataConfig(name=name))
    pixels = np.concatenate([arrays[0] for arrays in parts.values()])
    labels = np.concatenate([arrays[1] for arrays in parts.values()])
    assert source.labels.tolist() == labels.tolist()
    assert all(np.array_equal(source[index][0], pixels[index]) for index in range(len(pixels)))
    assert len(source.class_names) == {"cifar10": 10, "cifar100": 100}[name]
    n_test = len(list(parts.values())[-1][1])
    assert source.given_splits["test"].tolist() == list(range(len(labels) - n_test, len(labels)))


def test_classes_of_cifar_100_are_in_their_order() -> None:
    names = VERSIONS["cifar100"].class_names
    assert list(names) == sorted(names)
    assert [names[index] for index in (6, 14, 45, 69, 99)] == [
        "bee",
        "butterfly",
        "lobster",
        "rocket",
        "worm",
    ]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"cifar-10-batches-bin/data_batch_1.bin": b"\1" * 3073}, "has no file 'data_batch_2.bin'"),
        ({"cifar-10-batches-bin/data_batch_1.bin": b"\1" * 3072}, "3,072 bytes are not a multiple of 3,073"),
        ({"cifar-10-batches-bin/data_batch_1.bin": b"\x0b" * 3073}, "has a class 11; there are 10"),
    ],
)
def test_wrong_cifar_archive_is_named(root: Path, contents: dict[str, bytes], message: str) -> None:
    (root / "cifar10").mkdir()
    write_tar(root / "cifar10" / "cifar-10-binary.tar.gz", contents)
    with pytest.raises(InputError, match=message):
        open_source(DataConfig(name="cifar10"))


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-2000], lambda content: b"<html>", lambda content: b""]
)
def test_damaged_cifar_archive_is_named(root: Path, damage) -> None:
    write_cifar(root / "cifar10", "cifar10")
    path = root / "cifar10" / "cifar-10-binary.tar.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        InputError, match=r"cifar-10-binary\.tar\.gz is damaged .*delete it and run again"
    ) as caught:
        open_source(DataConfig(name="cifar10"))
    assert "\n" not in str(caught.value)


def test_no_pickle_is_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "load", None)
    write_cifar(root / "cifar10", "cifar10")
    open_source(DataConfig(name="cifar10"))


def test_imagenette_is_unpacked_once(root: Path) -> None:
    archive = write_archive(root / "imagenette", "imagenette")
    source = open_source(DataConfig(name="imagenette", resolution=16))
    assert source.class_names[1] == "n02102040"
    assert np.bincount(source.labels).tolist() == [8] * 10
    archive.unlink()
    again = open_source(DataConfig(name="imagenette", resolution=16))
    assert again.sha256() == source.sha256()
    assert sorted(path.name for path in (root / "imagenette").iterdir()) == ["imagenette2-320"]


def test_truncated_archive_leaves_no_folder(root: Path) -> None:
    archive = write_archive(root / "imagenette", "imagenette")
    archive.write_bytes(archive.read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"imagenette2-320\.tgz is damaged"):
        open_source(DataConfig(name="imagenette"))
    assert [path.name for path in (root / "imagenette").iterdir()] == [archive.name]


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/dynvision-outside.txt"])
def test_archive_that_writes_elsewhere_is_refused(root: Path, name: str) -> None:
    (root / "imagenette").mkdir()
    write_tar(root / "imagenette" / "imagenette2-320.tgz", {name: b"x"})
    with pytest.raises(InputError, match=r"imagenette2-320\.tgz"):
        open_source(DataConfig(name="imagenette"))
    assert [path.name for path in root.rglob("*")] == ["imagenette", "imagenette2-320.tgz"]
    assert not Path("/tmp/dynvision-outside.txt").exists()


def test_archive_with_links_is_refused(root: Path) -> None:
    (root / "imagenette").mkdir()
    with tarfile.open(root / "imagenette" / "imagenette2-320.tgz", "w:gz") as tar:
        link = tarfile.TarInfo("imagenette2-320/train")
        link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
        tar.addfile(link)
    with pytest.raises(InputError, match="imagenette2-320/train is neither a file nor a folder"):
        open_source(DataConfig(name="imagenette"))


def test_tiny_imagenet_takes_labels_from_its_annotations(root: Path) -> None:
    write_dataset(root, "tinyimagenet")
    source = open_source(DataConfig(name="tinyimagenet"))
    assert source.class_names == TINY_SYNSETS
    assert source.labels[source.given_splits["test"]].tolist() == [0, 1, 2, 3] * 2
    assert source.labels[source.given_splits["train"]].tolist() == [k for k in range(4) for _ in range(6)]
    assert source[0][0].shape == (64, 64, 3)


def test_imagenet_has_its_thousand_classes() -> None:
    synsets = imagenet_synsets()
    assert len(set(synsets)) == 1000
    assert list(synsets) == sorted(synsets)
    assert [synsets[index] for index in (0, 65, 281, 999)] == [
        "n01440764",
        "n01751748",
        "n02123045",
        "n15075141",
    ]


def test_imagenet_labels_do_not_depend_on_the_folders_that_are_there(root: Path) -> None:
    write_imagenet(root / "imagenet", (68, 54, 60, 62, 66, 67, 999))
    config = DataConfig(name="imagenet", group=[67, "n01740131", 54], resolution=16)
    source = open_source(config)
    assert source.class_names == tuple(imagenet_synsets()[index] for index in (54, 60, 67))
    assert source.labels[source.given_splits["train"]].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    everything = open_source(DataConfig(name="imagenet", resolution=16))
    assert sorted(set(everything.labels)) == [54, 60, 62, 66, 67, 68, 999]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("", r"imagenet is not downloaded; put its class folders into .*/imagenet/train and .*/imagenet/val"),
        ("train/n00000000", "n00000000 is none of the classes of imagenet"),
    ],
)
def test_unusable_imagenet_folder(root: Path, place: str, message: str) -> None:
    if place:
        write_imagenet(root / "imagenet", (0, 1))
        (root / "imagenet" / place).mkdir()
        (root / "imagenet" / "train" / "n01440764" / "n01440764_0.JPEG").rename(
            root / "imagenet" / place / "0.JPEG"
        )
    with pytest.raises(InputError, match=message):
        open_source(DataConfig(name="imagenet"))
