"""Data configuration: which images, stored how, split how, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import WithJsonSchema, model_validator

from dynvision.config.section import Section, key
from dynvision.config.transforms import ALL, AUTO, Classes, check_not_random, resolve_group, resolve_transform
from dynvision.errors import InputError, unknown_name
from dynvision.files import expanded


@dataclass(frozen=True)
class DatasetFacts:
    """What a known data set is.

    Attributes:
        n_channels: its native channels.
        resolution: height and width in px that it is shown at by default.
        mean: published mean of the training pixels in 0..1, per channel; none where there is none.
        sd: published standard deviation, likewise.
        margin: side of the stored images as a multiple of the resolution, by default.
        natural: whether they are photographs; some phenomena of cortex are known of these alone.
    """

    n_channels: int
    resolution: int
    mean: tuple[float, ...] = ()
    sd: tuple[float, ...] = ()
    margin: float = 1.0
    natural: bool = True


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_MARGIN = 256 / 224  # He et al. (2016), Deep Residual Learning for Image Recognition, sec. 3.4

DATASETS: dict[str, DatasetFacts] = {
    # Measured over its 1,797 images at 32 px.
    "digits": DatasetFacts(1, 32, (0.3052,), (0.3236,), natural=False),
    "mnist": DatasetFacts(1, 28, (0.1307,), (0.3081,), natural=False),
    "fashionmnist": DatasetFacts(1, 28, (0.2860,), (0.3530,), natural=False),
    "cifar10": DatasetFacts(3, 32, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": DatasetFacts(3, 32, (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "imagenette": DatasetFacts(3, 224, *_IMAGENET, margin=_MARGIN),
    "tinyimagenet": DatasetFacts(3, 64, *_IMAGENET),
    "imagenet": DatasetFacts(3, 224, *_IMAGENET, margin=_MARGIN),
}
SMALLEST_RESOLUTION = 4  # px; below that nothing is left after the pooling of the smallest model
SMALLEST_PAGE = 2**21  # bytes, of an FFCV file
FOLDER_PREFIX = "folder:"
FOLDER_FACTS = DatasetFacts(n_channels=3, resolution=64)
MEASURED = "measured"
GROUND = 0.5  # mean grey


def dataset_facts(data_name: str, key: str = "data_name") -> DatasetFacts:
    """Facts of a data set by name, or of ``folder:<path>``; ``key`` is what an error states to change.

    Raises:
        InputError: the name is not known.
    """
    if data_name.startswith(FOLDER_PREFIX):
        if not data_name.removeprefix(FOLDER_PREFIX).strip():
            raise InputError(
                "data_name 'folder:' names no folder; write folder:<path to a folder of class folders>"
            )
        return FOLDER_FACTS
    if data_name not in DATASETS:
        raise unknown_name("data set", data_name, [*DATASETS, "folder:<path>"], key=key)
    return DATASETS[data_name]


def expanded_name(data_name: str, key: str = "data_name") -> str:
    """Return the name of a data set, with ``~`` and variables replaced in ``folder:<path>``.

    Raises:
        InputError: a variable is not set.
    """
    if not data_name.startswith(FOLDER_PREFIX):
        return data_name
    return FOLDER_PREFIX + expanded(data_name.removeprefix(FOLDER_PREFIX).strip(), key)


Group = Annotated[Classes, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array"}]})]


class ImagesConfig(Section):
    """The images that conversion writes: everything here changes its files."""

    name: str = key(
        "digits", f"data set: {', '.join(DATASETS)}, or folder:<path> for a folder of class folders"
    )
    group: Group = key(
        ALL,
        "classes to train and test on: a group by name, or a list of indices or names; all takes every class",
    )
    resolution: int = key(0, "height and width of the shown images; 0 takes the data set's own", "px", ge=0)
    max_resolution: int = key(
        0,
        "height and width of the stored images, out of which crops are taken; 0 takes the resolution, and 8/7 of it "
        "for imagenet and imagenette",
        "px",
        ge=0,
    )
    n_channels: int = key(0, "1 for grey, 3 for colour; 0 takes the data set's own", ge=0, le=3)
    test_fraction: float = key(
        0.2, "part of the images kept for the test, where there is no test set", gt=0, lt=1
    )
    validation_fraction: float = key(0.1, "part of the remaining images kept for validation", gt=0, lt=1)
    split_seed: int | None = key(None, "seed of the split; null takes the run's seed")
    write_mode: Literal["raw", "jpg", "proportion"] = key(
        "raw",
        "how pixels are stored: raw keeps them, jpg compresses them, proportion compresses a part of the images",
    )
    jpeg_quality: int = key(90, "quality of compressed images", ge=1, le=100)
    compress_probability: float = key(0.5, "part of the images that proportion compresses", ge=0, le=1)
    page_size: int = key(
        0,
        "unit of reading in an FFCV file, a power of 2 of 2 MiB or more; 0 takes the smallest",
        "bytes",
        ge=0,
    )

    transparent_ground: float = key(
        GROUND,
        "grey on which images with transparency are laid, from 0 (black) over 0.5 (mean grey) to 1 (white)",
        ge=0,
        le=1,
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        filled = dict(values)
        cls._resolve(str(filled.get("name", cls.model_fields["name"].default)), filled)
        return filled

    @classmethod
    def _resolve(cls, name: str, values: dict[str, Any]) -> None:
        """Replace what stands for a value of the data set, or for a list by its name."""
        facts = dataset_facts(name)
        for field, own in {"resolution": facts.resolution, "n_channels": facts.n_channels}.items():
            if values.get(field) in (None, 0, "0"):
                values[field] = own
        if values.get("max_resolution") is None:
            values.pop("max_resolution", None)
        values["group"] = resolve_group(name, values.get("group"), "data.group")

    @model_validator(mode="after")
    def _images_are_possible(self) -> ImagesConfig:
        if self.n_channels not in (1, 3):
            raise InputError(f"n_channels={self.n_channels} is not possible; allowed: 1 (grey), 3 (colour)")
        if self.resolution < SMALLEST_RESOLUTION:
            raise InputError(
                f"resolution={self.resolution} px is too small; the smallest value allowed is {SMALLEST_RESOLUTION} px"
            )
        if self.stored_size < self.resolution:
            raise InputError(
                f"max_resolution={self.max_resolution} px is smaller than resolution={self.resolution} px; raise it, "
                "or set it to 0"
            )
        if len(self.group) == 1:
            raise InputError(f"group has one class, {self.group[0]!r}; at least two are needed to train")
        if self.page_size and (self.page_size < SMALLEST_PAGE or self.page_size & (self.page_size - 1)):
            raise InputError(
                f"page_size={self.page_size} is not possible; write 0 or a power of 2 from {SMALLEST_PAGE} (2 MiB)"
            )
        return self

    @property
    def stored_size(self) -> int:
        """Height and width of the stored images in px."""
        return self.max_resolution or round(self.resolution * dataset_facts(self.name).margin)

    @property
    def image_bytes(self) -> int:
        """Size of a stored image before compression, with the channels that it is shown with."""
        return self.stored_size**2 * self.n_channels

    @property
    def images(self) -> ImagesConfig:
        """What conversion needs to know, alone; runs that differ in the rest share a data folder."""
        return ImagesConfig(**{name: getattr(self, name) for name in ImagesConfig.model_fields})


Transform = Annotated[
    tuple[dict[str, dict[str, Any]], ...],
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array"}]}),
]


class DataConfig(ImagesConfig):
    """The data of a run: the images, and how they are shown."""

    train_transform: Transform = key(
        AUTO, "augmentation of the training images: a preset, or a list of operations; auto is <name>_train"
    )
    test_transform: Transform = key(
        AUTO, "what is done to validation and test images, nothing random; auto is <name>_test"
    )
    normalization: str = key(
        MEASURED, "mean and sd: measured on the training images, or those published of a data set by its name"
    )
    order: Literal["RANDOM", "QUASI_RANDOM", "SEQUENTIAL"] = key(
        "RANDOM", "order of the training images; QUASI_RANDOM shuffles pages, and within a few of them"
    )

    @classmethod
    def _resolve(cls, name: str, values: dict[str, Any]) -> None:
        super()._resolve(name, values)
        for context in ("train", "test"):
            field = f"{context}_transform"
            values[field] = resolve_transform(values.get(field), f"data.{field}", auto=f"{name}_{context}")
        check_not_random(values["test_transform"], "data.test_transform")
        if isinstance(values.get("order"), str):
            values["order"] = values["order"].upper()

    @model_validator(mode="after")
    def _normalization_is_known(self) -> DataConfig:
        if self.normalization != MEASURED:
            mean, _ = published_statistics(self.normalization)
            if len(mean) not in (1, self.n_channels):
                raise InputError(
                    f"normalization={self.normalization} has {len(mean)} channels, but n_channels={self.n_channels}; "
                    f"set one of them"
                )
        return self


def published_statistics(data_name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and sd of the training pixels in 0..1, per channel, as published of a data set.

    Raises:
        InputError: the name is not known.
    """
    if data_name not in DATASETS:
        raise unknown_name("normalization", data_name, [MEASURED, *DATASETS], key="data.normalization")
    facts = DATASETS[data_name]
    return facts.mean, facts.sd


def with_own_names(
    data_name: str, settings: Mapping[str, Any], groups: Mapping[str, Any], transforms: Mapping[str, Any]
) -> dict[str, Any]:
    """Data settings in which groups and transforms that the user has named are written out.

    Args:
        data_name: the data set.
        settings: the section ``data``.
        groups: the user's groups, by data set and name.
        transforms: the user's transforms, by name.

    Raises:
        InputError: a name is not known, or a definition is not possible.
    """
    resolved = dict(settings)
    resolved["group"] = resolve_group(data_name, resolved.get("group"), "data.group", groups)
    for context in ("train", "test"):
        field = f"{context}_transform"
        resolved[field] = resolve_transform(
            resolved.get(field), f"data.{field}", transforms, auto=f"{data_name}_{context}"
        )
    return resolved
