"""Contents of the screen, and the definition of contrast.

    x(t) = null input                      Null
    x(t) = c x                             Image: at contrast c about the mean grey; x is a normalised image
    x(t) = c y                             Other: the image that follows k places later in the test set
    x(t) = c m                             Mask: noise m with the variance of the image, one pattern an image and draw

A further content is a frozen dataclass with `shown` and `picture`; a stimulus may bring its own, in its file
(:mod:`dynvision.stimuli.film`, :mod:`dynvision.stimuli.occlusion`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from dynvision.noise.kind import PixelScale

MASK_STREAM = 0x6D61736B


@dataclass(frozen=True)
class View:
    """The images that a trial is about.

    Attributes:
        images: normalised, (B, C, H, W).
        indices: which images they are, int64, (B,).
        scale: of their pixels.
        others: images that follow each of them in the test set, (B, K, C, H, W); None where no content needs them.
    """

    images: Tensor
    indices: Tensor
    scale: PixelScale
    others: Tensor | None = None

    def other(self, place: int) -> Tensor:
        """Return the images that follow some places later, (B, C, H, W); `place` counts from 1."""
        assert self.others is not None, "the images that follow are loaded where a content asks for them"
        return self.others[:, place - 1]


@dataclass(frozen=True)
class Content:
    """Something that can be on the screen.

    Attributes:
        shown: the word for it in tables: ``blank``, ``image``, ``other``, ``mask`` or ``film``.
        takes_noise: the noise of the experiment is added to it.
    """

    shown: ClassVar[str] = "blank"
    takes_noise: ClassVar[bool] = False

    @property
    def is_stimulus(self) -> bool:
        """Whether `stimulus_on` holds in tables: the image itself is on, or a film, be it at contrast 0."""
        return self.shown in ("image", "film")

    @property
    def n_others(self) -> int:
        """Number of other images that are needed, K."""
        return 0

    def picture(self, view: View, contrast: float) -> Tensor:
        """Return what is seen, normalised, (B, C, H, W).

        Args:
            view: the images.
            contrast: amplitude about the mean grey.
        """
        raise NotImplementedError

    def split(self, n_steps: int, dt: float) -> Iterator[tuple[int, Content]]:
        """Yield numbers of steps and what is on in them; one piece, unless the content changes by itself.

        Args:
            n_steps: how long it is on, in steps.
            dt: integration step in ms.
        """
        yield n_steps, self


@dataclass(frozen=True)
class Null(Content):
    """The null input of the network."""


@dataclass(frozen=True)
class Image(Content):
    """The image."""

    shown = "image"
    takes_noise = True

    def picture(self, view: View, contrast: float) -> Tensor:
        """Return ``c x``."""
        return view.images * contrast


@dataclass(frozen=True)
class Other(Content):
    """Another image of the test set.

    Attributes:
        place: how many places after the image it follows, from 1.
    """

    place: int = 1
    shown = "other"
    takes_noise = True

    @property
    def n_others(self) -> int:
        return self.place

    def picture(self, view: View, contrast: float) -> Tensor:
        """Return ``c y``."""
        return view.other(self.place) * contrast


@dataclass(frozen=True)
class Mask(Content):
    """Noise about the mean grey with the variance of the image.

    Attributes:
        kind: kind of noise.
        draw: number of the pattern; the same number is the same pattern, in every trial of an image.
    """

    kind: str = "phasescrambled"
    draw: int = 0
    shown = "mask"

    def picture(self, view: View, contrast: float) -> Tensor:
        """Return ``c m``."""
        from dynvision.functional.counter_random import random_key
        from dynvision.noise.blend import mask_of

        parts = (MASK_STREAM, view.indices, self.draw) if self.draw else (MASK_STREAM, view.indices)
        return mask_of(view.images, self.kind, random_key(*parts), view.scale) * contrast


NULL = Null()
IMAGE = Image()

NAMED: dict[str, Content] = {
    "blank": NULL,
    "image": IMAGE,
    "mask": Mask(),
}  # what a stimulus may name in a word
