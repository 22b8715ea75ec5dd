"""From a source to a data folder: ``train.beton``, ``val.beton``, ``test.beton`` and, last, ``manifest.json``.

On the way it computes mean and standard deviation of the training pixels per channel, and finds copies among all images:

    mean = S1 / (255 N),    sd = sqrt(S2 / (255^2 N) - mean^2)        S1, S2: sums of p and p^2 over N pixels

The sums are integers, so the result does not depend on the order of the images.

Two images are copies if their stored pixels are equal. So a copied file is found, and one that was saved in another
format without loss; nearly equal images are not. A test on training images measures nothing, and an image
of two classes cannot be learned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import ImagesConfig
from dynvision.config.training import LoaderName
from dynvision.data.images import readable_suffixes
from dynvision.data.manifest import MANIFEST_NAME, BetonRecord, Manifest, SplitRecord, write_manifest
from dynvision.data.sources import ImageSource, open_source
from dynvision.data.splits import SPLITS, SplitName, split_source
from dynvision.data.storage import (
    Sample,
    Storage,
    beton_path,
    check_ffcv,
    ffcv_failure,
    page_bytes,
    read_images,
    rgb,
)
from dynvision.errors import InputError
from dynvision.files import atomic_path, file_sha256, remove_leftovers
from dynvision.runs.made_from import CONVERTED, describe_folder, made_from, of_images
from dynvision.text import Progress, first_few


def convert_dataset(config: ImagesConfig, output: str | Path, loader: LoaderName = "auto") -> Manifest:
    """Split a source, read every image of it once, and write a data folder.

    Nothing appears under its final name before all images have been read, and the manifest comes last: a conversion
    that was stopped leaves no data folder that could be taken for a whole one, and can simply be run again. FFCV files are
    written wherever FFCV is installed, unless the torch loader is asked for, which reads the source alone.

    Args:
        config: source, classes, sizes, channels and split; ``split_seed`` must be set.
        output: the data folder; made if it is not there.
        loader: the loader that is going to read. ``ffcv`` makes it an error that FFCV is not there; for ``torch`` no FFCV
            files are written.

    Returns:
        The manifest that was written.

    Raises:
        InputError: the source cannot be used, a class is too small, an image cannot be read, or FFCV is not there.
        OSError: the disk is full or the folder cannot be written.
    """
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output {folder} is a file; give a folder")
    config = config.images
    if loader == "ffcv":
        check_ffcv()
    write_ffcv = loader != "torch" and ffcv_failure() is None
    source = open_source(config)
    seen = describe_folder(source.root, readable_suffixes()) if source.root is not None else {}
    _print_lines(source.notes)
    splits = split_source(source, config)
    statistics = PixelStatistics(config.n_channels)
    copies = Copies()
    records: dict[SplitName, SplitRecord] = {}
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder / MANIFEST_NAME, *(beton_path(folder, split) for split in SPLITS))
    with ExitStack() as final_names:
        for split in SPLITS:
            samples = _read(source, split, splits[split], copies, statistics)
            record = SplitRecord(
                indices=tuple(splits[split].tolist()), labels=tuple(source.labels[splits[split]].tolist())
            )
            if write_ffcv:
                temporary = final_names.enter_context(atomic_path(beton_path(folder, split)))
                record = record.model_copy(update={"beton": _write(temporary, samples, record, config)})
            else:
                for _ in samples:  # every image is read, so that a bad one is found now
                    pass
            records[split] = record
        if copies.n_distinct("train") == 1:
            raise InputError(
                f"all {len(splits['train'])} training images of {config.name} are the same at {config.stored_size} x "
                f"{config.stored_size} px, so that nothing can be learned from them; look at "
                f"{source.image_name(int(splits['train'][0]))}"
            )
        _print_lines(copies.sentences(source.image_name))
        manifest = Manifest(
            config=config,
            class_names=source.class_names,
            mean=statistics.mean,
            sd=statistics.sd,
            source_sha256=source.sha256(),
            **records,
        )
        for name in [MANIFEST_NAME, *(beton_path(folder, split).name for split in SPLITS)]:
            (folder / name).unlink(missing_ok=True)
    with made_from(folder / CONVERTED, of_images(config)) as facts:
        facts["identity"] = manifest.identity
        if source.root is not None:
            facts["folder"] = seen
        write_manifest(folder, manifest)
    return manifest


def _write(path: Path, samples: Iterator[Sample], record: SplitRecord, config: ImagesConfig) -> BetonRecord:
    from dynvision.data.ffcv_files import write_beton

    storage = Storage.of(config)
    stored = (
        (storage.jpeg(image) if storage.compresses(index) else rgb(image), label)
        for index, (image, label) in zip(record.indices, samples, strict=True)
    )
    write_beton(path, stored, record.n_images, config.stored_size, page_bytes(config))
    return BetonRecord(size_bytes=path.stat().st_size, sha256=file_sha256(path))


def _print_lines(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        print(sentence, flush=True)


def _read(
    source: ImageSource,
    split: SplitName,
    indices: NDArray[np.int64],
    copies: Copies,
    statistics: PixelStatistics,
) -> Iterator[Sample]:
    """Yield the images of a split; copies, statistics of the training pixels, and progress are counted on the way."""
    progress = Progress(split, len(indices), "images")
    for number, (image, label) in enumerate(read_images(source, indices)):
        copies.add(split, int(indices[number]), label, image)
        if split == "train":
            statistics.add(image)
        yield image, label
        progress.at(number + 1)


class PixelStatistics:
    """Sums over the pixels seen so far."""

    def __init__(self, n_channels: int) -> None:
        self._n_pixels = 0
        self._sum = [0] * n_channels
        self._sum_of_squares = [0] * n_channels

    def add(self, image: NDArray[np.uint8]) -> None:
        """Add one image, (H, W, C)."""
        self._n_pixels += image.shape[0] * image.shape[1]
        for channel in range(image.shape[2]):
            counts = np.bincount(image[:, :, channel].ravel(), minlength=256)
            self._sum[channel] += int(counts @ _VALUES)
            self._sum_of_squares[channel] += int(counts @ _VALUES**2)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean per channel, pixels in 0..1."""
        return tuple(total / (255 * self._n_pixels) for total in self._sum)

    @property
    def sd(self) -> tuple[float, ...]:
        """Standard deviation per channel, pixels in 0..1. Exactly 0 for a channel that never changes."""
        n = self._n_pixels
        return tuple(
            (n * squares - total**2) ** 0.5 / (255 * n)
            for total, squares in zip(self._sum, self._sum_of_squares, strict=True)
        )


_VALUES = np.arange(256, dtype=np.int64)


DIGEST_BYTES = 8  # a chance of one in ten million that two of a million images agree
SETS = {"train": "training", "val": "validation", "test": "test"}


class Copies:
    """Hashes of the images seen so far, by split."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._splits: list[int] = []
        self._indices: list[int] = []
        self._labels: list[int] = []

    def add(self, split: SplitName, index: int, label: int, image: NDArray[np.uint8]) -> None:
        """Add one image, (H, W, C), with its index in the source and its class."""
        self._digests += hashlib.blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest()
        self._splits.append(SPLITS.index(split))
        self._indices.append(index)
        self._labels.append(label)

    def n_distinct(self, split: SplitName) -> int:
        """Return the number of different images of a split."""
        return len(np.unique(self._hashes()[np.array(self._splits) == SPLITS.index(split)]))

    def sentences(self, name_of: Callable[[int], str]) -> list[str]:
        """Return a sentence for each pair of splits that share images, and one for images in several classes.

        Args:
            name_of: what to call an image, by its index in the source.
        """
        hashes, splits, labels = self._hashes(), np.array(self._splits), np.array(self._labels)
        order = np.lexsort((splits, hashes))
        starts = np.flatnonzero(np.append(True, hashes[order][1:] != hashes[order][:-1]))
        groups = [group for group in np.split(order, starts[1:]) if len(group) > 1]
        found = []
        for one, other in combinations(range(len(SPLITS)), 2):
            pairs = [
                (group[splits[group] == one][0], copy)
                for group in groups
                if one in splits[group]
                for copy in group[splits[group] == other]
            ]
            if pairs:
                sets = f"the {SETS[SPLITS[one]]} and the {SETS[SPLITS[other]]} set"
                found.append(f"{_count(len(pairs))} in {sets}: {self._named(pairs, name_of)}")
        pairs = [
            (first, copy)
            for group in groups
            for first in group[:1]
            for copy in group[labels[group] != labels[first]]
        ]
        if pairs:
            found.append(f"{_count(len(pairs))} in several classes: {self._named(pairs, name_of)}")
        return found

    def _hashes(self) -> NDArray[np.uint64]:
        return np.frombuffer(bytes(self._digests), np.uint64)

    def _named(self, pairs: list[tuple[np.int64, np.int64]], name_of: Callable[[int], str]) -> str:
        listed = [" = ".join(name_of(self._indices[position]) for position in pair) for pair in sorted(pairs)]
        return first_few(listed)


def _count(number: int) -> str:
    return f"{number:,} image{' is' if number == 1 else 's are'}"
