"""Sources whose images are files, read when they are asked for; and the published ones: ImageNet and its subsets.

    imagenet/train/n01440764/*.JPEG            imagenet/val/n01440764/*.JPEG           1,000 classes; not downloaded
    imagenette/imagenette2-320/train/...       imagenette/imagenette2-320/val/...      10 classes
    tinyimagenet/tiny-imagenet-200/train/n01443537/images/*.JPEG                       200 classes of 64 x 64 px
    tinyimagenet/tiny-imagenet-200/val/images/*.JPEG with val_annotations.txt, or val/n01443537/*.JPEG

Folders are named by WordNet ids; a class' index is its rank among the ids of the data set, whichever of the folders are
there. The validation images are the test images here; validation images are taken from the training images, as everywhere.

Sources: O. Russakovsky et al. (2015), ImageNet Large Scale Visual Recognition Challenge; J. Howard (2019), Imagenette;
Y. Le and X. Yang (2015), Tiny ImageNet Visual Recognition Challenge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import ImagesConfig
from dynvision.config.transforms import GROUPS
from dynvision.data.downloads import DATA_VARIABLE, Download, dataset_folder, fetch, unpack
from dynvision.data.images import fit_image, images_below, read_image, sentences
from dynvision.data.sources import ImageSource, register
from dynvision.errors import InputError

# Up to here the hash covers the contents of the files, above it their names and sizes.
FULL_HASH_BYTES = 2**28


@dataclass(frozen=True)
class ClassFolders:
    """The images below a folder, in a fixed order: by split, class and name.

    Attributes:
        root: the folder.
        files: path of every image below ``root``, with ``/``.
        labels: class index of every image, (N,).
        class_names: by class index.
        given_splits: image indices by split, where the folder prescribes splits; otherwise empty.
        notes: sentences on what of the folder is not used.
    """

    root: Path
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    given_splits: dict[str, NDArray[np.int64]]
    notes: tuple[str, ...] = ()


class FileSource(ImageSource):
    """Images of a folder: the shorter side is resized to the stored size, and the central square is cut out.

    Args:
        config: size and channels of the images that are given out, and the ground of transparent ones.
        folders: which files, and of which class.
    """

    def __init__(self, config: ImagesConfig, folders: ClassFolders) -> None:
        self._config, self._size = config, config.stored_size
        self._files = folders.files
        self.root: Path = folders.root
        self.labels = folders.labels
        self.class_names = folders.class_names
        self.given_splits = folders.given_splits
        self.notes = folders.notes

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        path, config = self.root / self._files[index], self._config
        image = read_image(path, config.n_channels, config.transparent_ground)
        return fit_image(image, self._size), int(self.labels[index])

    def image_name(self, index: int) -> str:
        return self._files[index]

    def sha256(self) -> str:
        paths = [self.root / file for file in self._files]
        try:
            sizes = [path.stat().st_size for path in paths]
            in_full = sum(sizes) <= FULL_HASH_BYTES
            digest = hashlib.sha256()
            for name, path, size in zip(self._files, paths, sizes, strict=True):
                digest.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))
                if in_full:
                    digest.update(path.read_bytes())
        except FileNotFoundError as error:
            raise InputError(f"image {error.filename} disappeared while it was being read") from None
        return digest.hexdigest()


ANNOTATIONS = "val_annotations.txt"
# The archive of a data set, and the folder in it. SHA-256: of Imagenette in TensorFlow Datasets
# (url_checksums/imagenette.txt) for this address; of Tiny ImageNet in several projects that take it from this address.
ARCHIVES: dict[str, tuple[Download, str]] = {
    "imagenette": (
        Download(
            "imagenette2-320.tgz",
            "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
            "5020a9130cea0348272823cb12d2db7e981c6f2afa3dce71ccd5b8013005c55e",
        ),
        "imagenette2-320",
    ),
    "tinyimagenet": (
        Download(
            "tiny-imagenet-200.zip",
            "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
            "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
        ),
        "tiny-imagenet-200",
    ),
}


@register("imagenette", "tinyimagenet", "imagenet")
class SynsetFolders(FileSource):
    """Classes are WordNet ids, sorted."""

    def __init__(self, config: ImagesConfig) -> None:
        root = _root(config.name)
        synsets = _synsets(config.name, root)
        index_of = {synset: index for index, synset in enumerate(synsets)}
        files: list[str] = []
        labels: list[int] = []
        ends: list[int] = []
        ignored: list[tuple[str, str]] = []
        for part in ("train", "val"):
            for synset, file in _images(root, part, ignored):
                if synset not in index_of:
                    raise InputError(f"{root / part}: {synset} is none of the classes of {config.name}")
                files.append(file)
                labels.append(index_of[synset])
            ends.append(len(files))
        splits = {"train": np.arange(ends[0]), "test": np.arange(ends[0], ends[1])}
        labelled = np.array(labels, dtype=np.int64)
        notes = tuple(sentences(ignored))
        super().__init__(config, ClassFolders(root, tuple(files), labelled, synsets, splits, notes))


def _root(name: str) -> Path:
    """Return the folder with ``train`` and ``val``."""
    folder = dataset_folder(name)
    inner = [folder / inner for _, inner in (ARCHIVES[name],)] if name in ARCHIVES else []
    for place in [folder, *inner]:
        if (place / "train").is_dir() and (place / "val").is_dir():
            return place
    if name not in ARCHIVES:
        raise InputError(
            f"{name} is not downloaded; put its class folders into {folder}/train and {folder}/val (e.g. "
            f"{folder}/train/n01440764/*.JPEG), or set {DATA_VARIABLE} to the folder in which {name} lies"
        )
    download, _ = ARCHIVES[name]
    (archive,) = fetch((download,), folder)
    return unpack(archive, inner[0])


def _synsets(name: str, root: Path) -> tuple[str, ...]:
    if name == "imagenet":
        return imagenet_synsets()
    if name == "imagenette":
        return tuple(imagenet_synsets()[int(index)] for index in GROUPS["imagenet"]["imagenette"])
    listed = root / "wnids.txt"
    if listed.is_file():
        return tuple(sorted(listed.read_text(encoding="utf-8").split()))
    return tuple(sorted(folder.name for folder in (root / "train").iterdir() if folder.is_dir()))


@cache
def imagenet_synsets() -> tuple[str, ...]:
    """Return the WordNet ids of the 1,000 classes of ImageNet, by class index."""
    table = resources.files(__package__).joinpath("imagenet_synsets.csv").read_text(encoding="utf-8")
    return tuple(table.split()[1:])


def _images(root: Path, part: str, ignored: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the WordNet id and the path of every image of a part, sorted; add to `ignored` what is not read."""
    annotations = root / part / ANNOTATIONS
    if annotations.is_file() and (root / part / "images").is_dir():
        lines = annotations.read_text(encoding="utf-8").splitlines()
        for file, synset, *_ in sorted(line.split("\t") for line in lines if line.strip()):
            yield synset, f"{part}/images/{file}"
        return
    for folder in sorted(path for path in (root / part).iterdir() if path.is_dir()):
        found, left_out = images_below(folder, root)
        ignored.append((f"{part}/{folder.name}", left_out))
        for file in found:
            yield folder.name, file
