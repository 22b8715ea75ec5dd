"""CIFAR-10 and CIFAR-100: colour images of 32 x 32 px, in their binary version.

    record of CIFAR-10:    class (1 byte),                       red, green and blue (1,024 bytes each, row by row)
    record of CIFAR-100:   coarse class, fine class (1 byte each), red, green and blue

The python version is a pickle, which could run any code, and is not read.

Source: A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import ImagesConfig
from dynvision.data.downloads import DAMAGED, Download, damaged, dataset_folder, fetch
from dynvision.data.sources.arrays import ArraySource
from dynvision.data.sources.source import register
from dynvision.errors import InputError

SIZE = 32
URL = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class Version:
    """One of the two data sets: its archive, the folder and files in it, and its classes."""

    download: Download
    folder: str
    train: tuple[str, ...]
    test: str
    n_label_bytes: int
    class_names: tuple[str, ...]


# SHA-256: TensorFlow Datasets (url_checksums/cifar100.txt) and MLDatasets.jl for these addresses.
VERSIONS: dict[str, Version] = {
    "cifar10": Version(
        Download(
            "cifar-10-binary.tar.gz",
            f"{URL}cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        "cifar-10-batches-bin",
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test_batch.bin",
        1,
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    "cifar100": Version(
        Download(
            "cifar-100-binary.tar.gz",
            f"{URL}cifar-100-binary.tar.gz",
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
        "cifar-100-binary",
        ("train.bin",),
        "test.bin",
        2,
        (
            "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
            "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
            "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
            "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
            "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
            "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
            "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
            "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
            "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger",
            "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman",
            "worm",
        ),
    ),
}  # fmt: skip


@register("cifar10", "cifar100")
class CifarSource(ArraySource):
    """50,000 training and 10,000 test images."""

    def __init__(self, config: ImagesConfig) -> None:
        version = VERSIONS[config.name]
        with _opened(config.name, version) as read:
            parts = [_records(*read(file), version) for file in version.train]
            test = _records(*read(version.test), version)
        train = (
            np.concatenate([pixels for pixels, _ in parts]),
            np.concatenate([labels for _, labels in parts]),
        )
        super().__init__(config, train, test, version.class_names)


class Read(Protocol):
    """Gives the place and the content of a file by its name."""

    def __call__(self, file: str) -> tuple[str, bytes]: ...


@contextmanager
def _opened(name: str, version: Version) -> Iterator[Read]:
    """The files: of the unpacked folder where it is there, otherwise of the archive, downloaded if need be."""
    folder = dataset_folder(name) / version.folder
    if folder.is_dir():
        yield lambda file: (str(folder / file), _content(folder / file))
        return
    (archive,) = fetch((version.download,), dataset_folder(name))
    try:
        with tarfile.open(archive) as tar:
            members = {Path(member.name).name: member for member in tar if member.isfile()}

            def read(file: str) -> tuple[str, bytes]:
                opened = tar.extractfile(members[file])
                assert opened is not None  # it is a file
                return f"{file} in {archive}", opened.read()

            yield read
    except KeyError as error:
        raise InputError(
            f"{archive} has no file {error}; delete it and run again (the binary version is needed)"
        ) from None
    except DAMAGED as error:
        raise damaged(archive, error) from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; delete the folder {path.parent} and run again") from None


def _records(place: str, content: bytes, version: Version) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels, (N, 32, 32, 3), and fine classes, (N,), of a file."""
    record = version.n_label_bytes + 3 * SIZE * SIZE
    if not content or len(content) % record:
        raise InputError(
            f"{place} is not whole: {len(content):,} bytes are not a multiple of {record:,}; delete it and run again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    labels = records[:, version.n_label_bytes - 1]
    if labels.max() >= len(version.class_names):
        raise InputError(f"{place} has a class {labels.max()}; there are {len(version.class_names)}")
    planes = records[:, version.n_label_bytes :].reshape(-1, 3, SIZE, SIZE)
    return planes.transpose(0, 2, 3, 1), labels
