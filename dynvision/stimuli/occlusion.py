"""An image behind grey squares: how much of an object does recognition need, and how long?

    x'(t) = c x outside the squares, the mean grey inside

The squares lie on a grid. As many of them are grey as cover the fraction `occluded`, at places drawn for each image: the
same for every value, so that more occlusion only adds squares.

Source: Seijdel et al. (2021), J Neurosci 41:6281, and Rajaei et al. (2019), PLOS Comput Biol 15:e1007001, for the question;
the squares are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dynvision.config.section import key
from dynvision.stimuli.stimulus import Span, Stimulus, register
from dynvision.trials.content import Content, View

if TYPE_CHECKING:
    from torch import Tensor

STREAM = 0x6F63636C  # of random numbers


@dataclass(frozen=True)
class Occluded(Content):
    """The image with grey squares before it.

    Attributes:
        fraction: part of the squares of the grid that are grey, 0 to 1.
        side: of a square, as a part of the image's height.
    """

    fraction: float
    side: float
    shown = "image"
    takes_noise = True

    def picture(self, view: View, contrast: float) -> Tensor:
        """Return ``c x`` outside the squares and the mean grey, 0, inside."""
        import torch

        from dynvision.functional.counter_random import random_key, random_uniform

        height, width = view.images.shape[-2:]
        side = max(1, round(self.side * height))
        rows, columns = -(-height // side), -(-width // side)
        n = rows * columns
        drawn = random_uniform(random_key(STREAM, view.indices), (n,)).cpu()
        rank = drawn.argsort(dim=1).argsort(dim=1)
        grey = (rank < round(self.fraction * n)).view(-1, 1, rows, columns)
        grey = grey.repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)[..., :height, :width]
        return torch.where(grey.to(view.images.device), 0.0, view.images * contrast)


@register("occlusion")
class Occlusion(Stimulus):
    """One image shown once, behind grey squares."""

    type: Literal["occlusion"] = key(
        "occlusion", "the image is on for duration_ms, behind squares of the mean grey"
    )
    duration_ms: float = key(40.0, "how long the image is on", "ms", gt=0)
    occluded: float = key(0.5, "part of the image that is covered", ge=0, le=1)
    square_side: float = key(0.125, "side of a square as a part of the image's height", gt=0, le=1)

    def spans(self) -> tuple[Span, ...]:
        content = Occluded(self.occluded, self.square_side)
        return (Span(self.duration_ms, content, self.contrast, "stimulus.duration_ms"),)

    def describe(self, said: Mapping[str, str]) -> str:
        return (
            f"for {said['duration_ms']}, at contrast {said['contrast']}, with the part {said['occluded']} of it behind "
            f"grey squares of {said['square_side']} of its height"
        )
