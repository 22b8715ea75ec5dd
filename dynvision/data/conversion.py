"""From a source to a data folder: ``train.beton``, ``val.beton``, ``test.beton`` and, last, ``manifest.json``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import ImagesConfig
from dynvision.data.beton_check import beton_path, page_bytes
from dynvision.data.images import readable_suffixes
from dynvision.data.loader_choice import LoaderName, ffcv_failure, use_ffcv
from dynvision.data.manifest import MANIFEST_NAME, BetonRecord, Manifest, SplitRecord, write_manifest
from dynvision.data.pixel_statistics import Copies, PixelStatistics
from dynvision.data.sources import open_source
from dynvision.data.splits import SPLITS, SplitName, split_source
from dynvision.data.storage import Sample, Storage, read_images, rgb
from dynvision.errors import InputError
from dynvision.files import atomic_path, file_sha256
from dynvision.runs.image_folder import describe_folder
from dynvision.runs.made_from import CONVERTED, made_from, of_images
from dynvision.text import Progress


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
    config = ImagesConfig(**{name: getattr(config, name) for name in ImagesConfig.model_fields})
    if loader == "ffcv":
        use_ffcv("ffcv")
    write_ffcv = loader != "torch" and ffcv_failure() is None
    source = open_source(config)
    seen = describe_folder(source.root, readable_suffixes()) if source.root is not None else {}
    _print_lines(source.notes)
    splits = split_source(source, config)
    statistics = PixelStatistics(config.n_channels)
    copies = Copies()
    records: dict[SplitName, SplitRecord] = {}
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    with ExitStack() as final_names:
        for split in SPLITS:
            samples = _with_progress(read_images(source, splits[split]), split, len(splits[split]))
            samples = _with_copies(samples, split, splits[split], copies)
            if split == "train":
                samples = _with_statistics(samples, statistics)
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
    from dynvision.data.beton import write_beton

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


def _with_progress(samples: Iterator[Sample], split: SplitName, n_images: int) -> Iterator[Sample]:
    progress = Progress(split, n_images, "images")
    for number, sample in enumerate(samples, start=1):
        yield sample
        progress.at(number)


def _with_copies(
    samples: Iterator[Sample], split: SplitName, indices: NDArray[np.int64], copies: Copies
) -> Iterator[Sample]:
    for index, (image, label) in zip(indices, samples, strict=True):
        copies.add(split, int(index), label, image)
        yield image, label


def _with_statistics(samples: Iterator[Sample], statistics: PixelStatistics) -> Iterator[Sample]:
    for image, label in samples:
        statistics.add(image)
        yield image, label


def _remove_leftovers(folder: Path) -> None:
    """Temporary files of a conversion that was killed."""
    for name in [*(f".{split}.*.beton" for split in SPLITS), f".{Path(MANIFEST_NAME).stem}.*.json"]:
        for leftover in folder.glob(name):
            leftover.unlink(missing_ok=True)
