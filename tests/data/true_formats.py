"""Tiny data sets in the formats of the real ones, and the arrays that are in them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynvision.data.sources.files import imagenet_synsets

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]
TINY_SYNSETS = ("n01443537", "n01629819", "n01910747", "n02094433")


def random_images(n: int, shape: tuple[int, ...], n_classes: int, seed: int) -> Arrays:
    """Random pixels, and labels of which each class has as many."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(n) % n_classes).astype(np.uint8)
    return generator.integers(0, 256, (n, *shape), dtype=np.uint8), labels


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """An array as an IDX file."""
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write_idx(folder: Path, compressed: bool = True) -> dict[str, Arrays]:
    """The four files of MNIST: 60 training and 20 test images of 28 x 28 px."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": random_images(60, (28, 28), 10, 0), "t10k": random_images(20, (28, 28), 10, 1)}
    for part, arrays in parts.items():
        for content, array in zip(("images-idx3", "labels-idx1"), arrays, strict=True):
            data = idx_bytes(array)
            path = folder / f"{part}-{content}-ubyte"
            if compressed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(data, mtime=0))
            else:
                path.write_bytes(data)
    return parts


def cifar_bytes(arrays: Arrays, coarse: bool) -> bytes:
    """Records of the binary version: labels, then red, green and blue."""
    pixels, labels = arrays
    head = np.stack([labels // 5, labels], axis=1) if coarse else labels[:, None]
    return np.concatenate([head, pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)], axis=1).tobytes()


def write_cifar(folder: Path, name: str, archive: bool = True) -> dict[str, Arrays]:
    """CIFAR-10 (50 + 20 images) or CIFAR-100 (300 + 100 images) as the binary archive, or unpacked."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "cifar10":
        inner = "cifar-10-batches-bin"
        parts = {f"data_batch_{k}.bin": random_images(10, (32, 32, 3), 10, k) for k in range(1, 6)}
        parts["test_batch.bin"] = random_images(20, (32, 32, 3), 10, 6)
    else:
        inner = "cifar-100-binary"
        parts = {
            "train.bin": random_images(300, (32, 32, 3), 100, 0),
            "test.bin": random_images(100, (32, 32, 3), 100, 1),
        }
    contents = {file: cifar_bytes(arrays, name == "cifar100") for file, arrays in parts.items()}
    if archive:
        path = folder / {"cifar10": "cifar-10-binary.tar.gz", "cifar100": "cifar-100-binary.tar.gz"}[name]
        write_tar(path, {f"{inner}/{file}": content for file, content in contents.items()})
    else:
        (folder / inner).mkdir()
        for file, content in contents.items():
            (folder / inner / file).write_bytes(content)
    return parts


def write_tar(path: Path, contents: dict[str, bytes]) -> None:
    """A .tar.gz of files by name."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def jpeg_bytes(seed: int, size: int = 20) -> bytes:
    """A random image as JPEG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size + 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def imagenette_files() -> dict[str, bytes]:
    """Six training and two validation images of each of the ten classes."""
    synsets = [imagenet_synsets()[index] for index in (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)]
    return {
        f"imagenette2-320/{part}/{synset}/{synset}_{k}.JPEG": jpeg_bytes(100 * number + k)
        for part, n in (("train", 6), ("val", 2))
        for number, synset in enumerate(synsets)
        for k in range(n)
    }


def tiny_imagenet_files() -> dict[str, bytes]:
    """Six training images of each of four classes and eight validation images with their annotations."""
    root = "tiny-imagenet-200"
    files = {f"{root}/wnids.txt": "\n".join(reversed(TINY_SYNSETS)).encode()}
    for number, synset in enumerate(TINY_SYNSETS):
        for k in range(6):
            files[f"{root}/train/{synset}/images/{synset}_{k}.JPEG"] = jpeg_bytes(10 * number + k, 64)
    lines = []
    for k in range(8):
        files[f"{root}/val/images/val_{k}.JPEG"] = jpeg_bytes(1000 + k, 64)
        lines.append(f"val_{k}.JPEG\t{TINY_SYNSETS[k % 4]}\t0\t0\t62\t62")
    files[f"{root}/val/val_annotations.txt"] = "\n".join(lines).encode()
    return files


def write_archive(folder: Path, name: str) -> Path:
    """The archive of imagenette or tinyimagenet."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "imagenette":
        path = folder / "imagenette2-320.tgz"
        write_tar(path, imagenette_files())
        return path
    path = folder / "tiny-imagenet-200.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for file, content in tiny_imagenet_files().items():
            zipped.writestr(file, content)
    return path


def write_imagenet(folder: Path, classes: tuple[int, ...]) -> None:
    """Class folders of ImageNet with five training and two validation images each."""
    for index in classes:
        synset = imagenet_synsets()[index]
        for part, n in (("train", 5), ("val", 2)):
            for k in range(n):
                path = folder / part / synset / f"{synset}_{k}.JPEG"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(jpeg_bytes(10 * index + k, 30))


def write_dataset(root: Path, name: str) -> None:
    """A tiny version of any data set that is not bundled, where it is looked for."""
    if name in ("mnist", "fashionmnist"):
        write_idx(root / name)
    elif name in ("cifar10", "cifar100"):
        write_cifar(root / name, name)
    elif name == "imagenet":
        write_imagenet(root / name, tuple(range(1000)))
    elif name in ("imagenette", "tinyimagenet"):
        write_archive(root / name, name)
