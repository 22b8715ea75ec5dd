"""What must be known of a data set to show an image as its images are shown: sizes, storage, pixel statistics, class names.

The manifest of a data folder has it, and so has the header of weights: they can be asked without the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import model_validator

from dynvision.config.data import ImagesConfig
from dynvision.config.section import Section, key, validate
from dynvision.errors import InputError

HEADER_KEY = "images"
OWN = ("class_names", "mean", "sd")  # what the configuration of a run does not say


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
        """For the header of weights, beside the configuration of their run."""
        own = self.model_dump(mode="json", include=set(OWN))
        return {HEADER_KEY: json.dumps({name: own[name] for name in OWN}, ensure_ascii=False)}


def in_header(header: Mapping[str, str], config: ImagesConfig) -> ShownImages | None:
    """What the header of weights says of their images; None for weights that say nothing.

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
