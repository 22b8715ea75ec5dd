"""The description of a data set's images: sizes, storage, pixel statistics, class names; and the manifest of a data folder.

`ShownImages` is all that is needed to show an image as the images of the data set are shown. It is a part of the manifest
and of the header of weights, so that a network can be used without its data. The manifest also states which images are in
which split, and the FFCV files. It is written last: where it is, the data folder is complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from dynvision.config.data import ImagesConfig
from dynvision.config.section import Section, key, validate
from dynvision.config.transforms import Classes
from dynvision.data.sources import check_numbers, class_indices, taken_classes
from dynvision.data.splits import SplitName
from dynvision.errors import InputError
from dynvision.files import write_text
from dynvision.runs.made_from import data_identity

HEADER_KEY = "images"
OWN = ("class_names", "mean", "sd")  # what the configuration of a run does not state


class ShownImages(Section):
    """A data set's images. ``mean`` and ``sd`` are of the training images, per channel, with pixels in 0..1."""

    config: ImagesConfig = key(..., "source, classes, sizes, channels, storage and split, as asked for")
    class_names: tuple[str, ...] = key(..., "names of the classes, by class index", min_length=2)
    mean: tuple[float, ...] = key(..., "mean of the training pixels, per channel, in 0..1")
    sd: tuple[float, ...] = key(..., "standard deviation of the training pixels, per channel, in 0..1")

    @model_validator(mode="after")
    def _channels_agree(self) -> ShownImages:
        if not len(self.mean) == len(self.sd) == self.config.n_channels:
            raise InputError("mean, sd and channels do not agree")
        return self

    @property
    def source(self) -> str:
        """Name of the source."""
        return self.config.name

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image as it is shown, (C, H, W)."""
        return (self.config.n_channels, self.config.resolution, self.config.resolution)

    def header(self) -> dict[str, str]:
        """Return the entry of the header of weights, beside the configuration of their run."""
        own = self.model_dump(mode="json", include=set(OWN))
        return {HEADER_KEY: json.dumps({name: own[name] for name in OWN}, ensure_ascii=False)}


def in_header(header: Mapping[str, str], config: ImagesConfig) -> ShownImages | None:
    """Return what the header of weights states of their images; None where it states nothing.

    Args:
        header: of a run's weights.
        config: of the run's images.

    Raises:
        InputError: it is damaged.
    """
    if HEADER_KEY not in header:
        return None
    try:
        own = json.loads(header[HEADER_KEY])
    except json.JSONDecodeError as error:
        raise InputError(f"{HEADER_KEY} in the header of the weights is not valid JSON: {error}") from None
    return validate(ShownImages, {**own, "config": config}, HEADER_KEY)


MANIFEST_NAME = "manifest.json"
OTHER_FOLDER = "give the folder that 'dynvision convert' has written for this configuration"


class BetonRecord(Section):
    """An FFCV file as it was written."""

    size_bytes: int = key(..., "size of the file", "bytes", gt=0)
    sha256: str = key(..., "hash of the file", min_length=64, max_length=64)


class SplitRecord(Section):
    """The images of one split, in the order in which they lie in its FFCV file."""

    indices: tuple[int, ...] = key(..., "index of each image in its source", min_length=1)
    labels: tuple[int, ...] = key(..., "class index of each image", min_length=1)
    beton: BetonRecord | None = key(None, "the FFCV file; null where none was written")

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.indices)


class Manifest(ShownImages):
    """A converted data set: its images, and which of them are in which split."""

    format_version: Literal[2] = key(2, "version of this file's layout")
    source_sha256: str = key(..., "hash of the source")
    train: SplitRecord = key(..., "training images")
    val: SplitRecord = key(..., "validation images")
    test: SplitRecord = key(..., "test images")

    @model_validator(mode="after")
    def _parts_agree(self) -> Manifest:
        classes = set(range(self.n_classes))
        for record in (self.train, self.val, self.test):
            if len(record.indices) != len(record.labels) or not set(record.labels) <= classes:
                raise InputError("indices, labels and class names do not agree")
        return self

    def split(self, name: SplitName) -> SplitRecord:
        """Return the record of a split by name."""
        record: SplitRecord = getattr(self, name)
        return record

    def positions(self, name: SplitName, classes: Classes = ()) -> NDArray[np.int64]:
        """Return the positions within a split of the images of some classes, ascending; of all classes if none is given.

        Args:
            name: of the split.
            classes: by name, or by index among all classes of the data set.

        Raises:
            InputError: a class is none of those that the data were converted with, or has no image in the split.
        """
        labels = np.array(self.split(name).labels)
        if not classes:
            return np.arange(len(labels))
        if not self.config.group:
            check_numbers(classes, self.class_names, "group")
        chosen = class_indices(self._among_own(classes), self.class_names, "group")
        for label in chosen:
            if label not in labels:
                raise InputError(f"group: class {self.class_names[label]!r} has no {name} image")
        return np.flatnonzero(np.isin(labels, chosen))

    def taken(self, classes: Classes) -> str:
        """Return a sentence on which classes `positions` takes, by label and name."""
        chosen = class_indices(self._among_own(classes), self.class_names, "group")
        return f"group takes {taken_classes(chosen, self.class_names)}"

    def _among_own(self, classes: Classes) -> Classes:
        """Replace indices among all classes of the data set by indices among the converted classes."""
        if not self.config.group:
            return classes
        numbers = sorted(name for name in self.config.group if isinstance(name, int))
        own: list[int | str] = []
        for name in classes:
            if isinstance(name, int) and (name not in numbers or len(numbers) < self.n_classes):
                raise InputError(
                    f"group: class {name} is none of data.group={list(self.config.group)}, on which the network was "
                    "trained; name its classes in the same way"
                )
            own.append(numbers.index(name) if isinstance(name, int) else name)
        return tuple(own)

    @property
    def identity(self) -> str:
        """The source, and which of its images are in which split, as a hash."""
        return data_identity(self.model_dump(mode="json"))

    @property
    def counts(self) -> dict[str, int]:
        """Number of images by split."""
        return {"train": self.train.n_images, "val": self.val.n_images, "test": self.test.n_images}


def write_manifest(folder: str | Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` whole or not at all; ``counts`` is in it for the reader's eye."""
    content = {**manifest.model_dump(mode="json"), "counts": manifest.counts}
    write_text(Path(folder) / MANIFEST_NAME, json.dumps(content, ensure_ascii=False))


def read_manifest(folder: str | Path, config: ImagesConfig | None = None) -> Manifest:
    """Read the manifest of a data folder.

    Args:
        folder: where `convert_dataset` wrote.
        config: what the data must be; None takes any data.

    Raises:
        InputError: the manifest is missing, broken, or of other data.
    """
    path = Path(folder) / MANIFEST_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        manifest = validate(
            Manifest, {name: value for name, value in content.items() if name != "counts"}, ""
        )
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {OTHER_FOLDER}") from None
    except (ValueError, AttributeError):  # InputError is a ValueError
        raise InputError(f"{path} is broken or of another version; {remedy(folder)}") from None
    differences = _differences(manifest.config, config) if config is not None else ""
    if differences:
        raise InputError(f"{path} is of other data: {differences}; {OTHER_FOLDER}")
    return manifest


def remedy(folder: str | Path) -> str:
    """Return a sentence on what to do about a data folder that cannot be used."""
    return f"delete the folder {folder} and run again"


def _differences(there: ImagesConfig, wanted: ImagesConfig) -> str:
    names = [name for name in ImagesConfig.model_fields if getattr(there, name) != getattr(wanted, name)]
    return ", ".join(
        f"{name} is {getattr(there, name)!r} and not {getattr(wanted, name)!r}" for name in names
    )
