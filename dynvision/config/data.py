"""Data configuration: which images, at which size, split how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import model_validator

from dynvision.config.section import Section, key
from dynvision.errors import InputError, unknown_name


@dataclass(frozen=True)
class DatasetFacts:
    """What a known data set is: its native channels and the resolution it is shown at unless told otherwise."""

    n_channels: int
    resolution: int


DATASETS: dict[str, DatasetFacts] = {"digits": DatasetFacts(n_channels=1, resolution=32)}
SMALLEST_RESOLUTION = 4  # px; below that nothing is left behind the pooling of the smallest model
FOLDER_PREFIX = "folder:"
FOLDER_FACTS = DatasetFacts(n_channels=3, resolution=64)


def dataset_facts(data_name: str) -> DatasetFacts:
    """Facts of a data set by name, or of ``folder:<path>``.

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
        raise unknown_name("data set", data_name, [*DATASETS, "folder:<path>"], key="data_name")
    return DATASETS[data_name]


class DataConfig(Section):
    """A data set as the network sees it. Everything here changes the files that conversion writes."""

    name: str = key("digits", "data set: digits, or folder:<path> for a folder of class folders")
    resolution: int = key(0, "height and width in pixels; 0 takes the data set's own", "px", ge=0)
    n_channels: int = key(0, "1 for grey, 3 for colour; 0 takes the data set's own", ge=0, le=3)
    test_fraction: float = key(
        0.2, "part of the images kept for the test, where there is no test set", gt=0, lt=1
    )
    validation_fraction: float = key(0.1, "part of the remaining images kept for validation", gt=0, lt=1)
    split_seed: int | None = key(None, "seed of the split; null takes the run's seed")

    @model_validator(mode="before")
    @classmethod
    def _fill_in_facts(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        facts = dataset_facts(str(values.get("name", cls.model_fields["name"].default)))
        filled = dict(values)
        for name, own in {"resolution": facts.resolution, "n_channels": facts.n_channels}.items():
            if filled.get(name) in (None, 0, "0"):
                filled[name] = own
        return filled

    @model_validator(mode="after")
    def _images_are_possible(self) -> DataConfig:
        if self.n_channels not in (1, 3):
            raise InputError(f"n_channels={self.n_channels} is not possible; allowed: 1 (grey), 3 (colour)")
        if self.resolution < SMALLEST_RESOLUTION:
            raise InputError(
                f"resolution={self.resolution} px is too small; the smallest value allowed is {SMALLEST_RESOLUTION} px"
            )
        return self
