"""Sources whose images are one array in memory: digits, MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100.

digits: the 1,797 handwritten digits of scikit-learn, 8 x 8 pixels with values 0..16, bilinearly enlarged.

    p = round(255 / 16 * v)        v: value at the new resolution, interpolated before rounding

mnist, fashionmnist: grey images of 28 x 28 px in IDX files.

    bytes 0, 1: zero    byte 2: 8 (unsigned bytes)    byte 3: number of dimensions    then each size, 4 bytes, and the data

cifar10, cifar100: colour images of 32 x 32 px, in their binary version. The python version is a pickle, which could run any
code, and is not read.

    record of CIFAR-10:    class (1 byte),                       red, green and blue (1,024 bytes each, row by row)
    record of CIFAR-100:   coarse class, fine class (1 byte each), red, green and blue

Sources: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository;
Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits; H. Xiao, K. Rasul and R. Vollgraf (2017),
Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms; A. Krizhevsky (2009), Learning Multiple
Layers of Features from Tiny Images.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynvision.config.data import ImagesConfig
from dynvision.data.downloads import DAMAGED, Download, damaged, dataset_folder, fetch
from dynvision.data.images import fit_image
from dynvision.data.sources import ImageSource, register
from dynvision.errors import InputError
from dynvision.functional.pixels import MODES


class ArraySource(ImageSource):
    """Training images first, then test images.

    Args:
        config: size and channels of the images that are given out.
        train, test: pixels, (N, H, W) or (N, H, W, 3), and labels, (N,), of each.
        class_names: by class index.
    """

    def __init__(
        self,
        config: ImagesConfig,
        train: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        test: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        class_names: tuple[str, ...],
    ) -> None:
        self._pixels = np.concatenate([train[0], test[0]])
        self._size = config.stored_size
        self._n_channels = config.n_channels
        self.labels = np.concatenate([train[1], test[1]]).astype(np.int64)
        self.class_names = class_names
        n_train, n_all = len(train[1]), len(self.labels)
        self.given_splits = {"train": np.arange(n_train), "test": np.arange(n_train, n_all)}

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        pixels, label = self._pixels[index], int(self.labels[index])
        as_asked_for = (self._size, self._size, self._n_channels)
        if pixels.shape in (as_asked_for, as_asked_for[: 3 - (self._n_channels == 1)]):
            return pixels.reshape(as_asked_for).copy(), label
        image = Image.fromarray(pixels).convert(MODES[self._n_channels])
        return fit_image(image, self._size), label

    def sha256(self) -> str:
        return hashlib.sha256(self._pixels.tobytes() + self.labels.tobytes()).hexdigest()


LARGEST_VALUE = 16.0


@register("digits")
class DigitsSource(ImageSource):
    """Ten classes, 174 to 183 images each; white on black."""

    def __init__(self, config: ImagesConfig) -> None:
        from sklearn.datasets import load_digits

        bundled = load_digits()
        self._values = np.ascontiguousarray(bundled.images, dtype=np.float32)  # (N, 8, 8), 0..16
        self._size = config.stored_size
        self._n_channels = config.n_channels
        self.labels = bundled.target.astype(np.int64)
        self.class_names = tuple(str(name) for name in bundled.target_names)
        self.given_splits = {}

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        size = (self._size, self._size)
        enlarged = Image.fromarray(self._values[index]).resize(size, Image.Resampling.BILINEAR)
        pixels = np.rint(np.asarray(enlarged) * (255 / LARGEST_VALUE)).astype(np.uint8)
        return np.repeat(pixels[:, :, None], self._n_channels, axis=2), int(self.labels[index])

    def sha256(self) -> str:
        return hashlib.sha256(self._values.tobytes() + self.labels.tobytes()).hexdigest()


UNSIGNED_BYTES = 8
MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FILES = tuple(
    f"{part}-{content}-ubyte.gz" for part in ("train", "t10k") for content in ("images-idx3", "labels-idx1")
)
# SHA-256: of MNIST in torchvision-ruby (lib/torchvision/datasets/mnist.rb) for this address, of Fashion-MNIST in TensorFlow
# Datasets (url_checksums/fashion_mnist.txt) for this address.
DOWNLOADS: dict[str, tuple[Download, ...]] = {
    name: tuple(Download(file, url + file, digest) for file, digest in zip(FILES, checksums, strict=True))
    for name, url, checksums in (
        (
            "mnist",
            MNIST_URL,
            (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
        (
            "fashionmnist",
            FASHION_URL,
            (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    )
}
CLASSES: dict[str, tuple[str, ...]] = {
    "mnist": tuple("0123456789"),
    "fashionmnist": (
        "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
}  # fmt: skip


@register("mnist", "fashionmnist")
class IdxSource(ArraySource):
    """Ten classes, 60,000 training and 10,000 test images; white on black."""

    def __init__(self, config: ImagesConfig) -> None:
        paths = _files(config.name)
        images, labels, test_images, test_labels = (read_idx(path) for path in paths)
        for shown, named, path in ((images, labels, paths[0]), (test_images, test_labels, paths[2])):
            if shown.ndim != 3 or named.shape != shown.shape[:1]:
                raise InputError(f"{path} and its labels do not agree; delete the folder {path.parent}")
        super().__init__(config, (images, labels), (test_images, test_labels), CLASSES[config.name])


def _files(name: str) -> tuple[Path, ...]:
    """Return the paths of the four files: uncompressed where they are there, otherwise compressed and downloaded."""
    folder = dataset_folder(name)
    plain = tuple(folder / file.removesuffix(".gz") for file in FILES)
    return plain if all(path.is_file() for path in plain) else fetch(DOWNLOADS[name], folder)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read the array in an IDX file of unsigned bytes, compressed with gzip or not.

    Raises:
        InputError: the file is no such file, or not whole.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is damaged ({error}); delete it and run again") from None
    if len(content) < 4 or content[:3] != bytes((0, 0, UNSIGNED_BYTES)) or len(content) < 4 + 4 * content[3]:
        raise InputError(f"{path} is not an IDX file of unsigned bytes; delete it and run again")
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    data = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if len(data) != math.prod(shape):
        raise InputError(
            f"{path} is not whole: it has {len(data):,} of {math.prod(shape):,} bytes; delete it and run again"
        )
    return data.reshape(shape)


CIFAR_SIZE = 32  # px
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class CifarArchive:
    """One of the two data sets of CIFAR: its archive, the folder and files in it, and its classes."""

    download: Download
    folder: str
    train: tuple[str, ...]
    test: str
    n_label_bytes: int
    class_names: tuple[str, ...]


# SHA-256: TensorFlow Datasets (url_checksums/cifar100.txt) and MLDatasets.jl for these addresses.
VERSIONS: dict[str, CifarArchive] = {
    "cifar10": CifarArchive(
        Download(
            "cifar-10-binary.tar.gz",
            f"{CIFAR_URL}cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        "cifar-10-batches-bin",
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test_batch.bin",
        1,
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    "cifar100": CifarArchive(
        Download(
            "cifar-100-binary.tar.gz",
            f"{CIFAR_URL}cifar-100-binary.tar.gz",
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
def _opened(name: str, version: CifarArchive) -> Iterator[Read]:
    """Open the files in the unpacked folder where it is there, otherwise in the archive, which is downloaded if need be."""
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


def _records(
    place: str, content: bytes, version: CifarArchive
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the pixels, (N, 32, 32, 3), and the fine classes, (N,), of a file."""
    record = version.n_label_bytes + 3 * CIFAR_SIZE * CIFAR_SIZE
    if not content or len(content) % record:
        raise InputError(
            f"{place} is not whole: {len(content):,} bytes are not a multiple of {record:,}; delete it and run again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    labels = records[:, version.n_label_bytes - 1]
    if labels.max() >= len(version.class_names):
        raise InputError(f"{place} has a class {labels.max()}; there are {len(version.class_names)}")
    planes = records[:, version.n_label_bytes :].reshape(-1, 3, CIFAR_SIZE, CIFAR_SIZE)
    return planes.transpose(0, 2, 3, 1), labels
