"""An image among small copies of other images: does recognition need longer in clutter?

    [other] [image] [other] ...        flankers at equal angles about the centre, over the border of the image

The flankers are the images that follow in the test set, which comes round robin over the classes.

Source: Seijdel et al. (2021), J Neurosci 41:6281, for the question; the arrangement is ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dynvision.config.section import key
from dynvision.stimuli.stimulus import Span, Stimulus, register
from dynvision.trials.content import Content, View

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Cluttered(Content):
    """The image, and small copies of other images about it.

    Attributes:
        n: how many.
        side: of each, as a part of the image's.
    """

    n: int
    side: float
    shown = "image"
    takes_noise = True

    @property
    def n_others(self) -> int:
        return self.n

    def picture(self, view: View, contrast: float) -> Tensor:
        """Return ``c`` times the image with the copies pasted over its border."""
        from torch.nn.functional import interpolate

        if not self.n:
            return view.images * contrast
        height, width = view.images.shape[-2:]
        h, w = max(1, round(self.side * height)), max(1, round(self.side * width))
        scene = view.images.clone()
        for k in range(self.n):
            angle = 2 * math.pi * (k + 0.5) / self.n
            # The circle is larger than the image, so that flankers lie in its corners and at its edges.
            top = min(max(round((height - h) * (1 + math.sqrt(2) * math.sin(angle)) / 2), 0), height - h)
            left = min(max(round((width - w) * (1 + math.sqrt(2) * math.cos(angle)) / 2), 0), width - w)
            small = interpolate(view.other(k + 1), size=(h, w), mode="area")
            scene[:, :, top : top + h, left : left + w] = small
        return scene * contrast


@register("clutter")
class Clutter(Stimulus):
    """One image shown once, among small copies of others."""

    type: Literal["clutter"] = key("clutter", "the image is on for duration_ms, among small copies of others")
    duration_ms: float = key(40.0, "how long the image is on", "ms", gt=0)
    n_flankers: int = key(4, "small images about it", ge=0, le=16)
    flanker_side: float = key(0.3, "side of a small image as a part of the image's", gt=0, le=0.5)

    def spans(self) -> tuple[Span, ...]:
        content = Cluttered(self.n_flankers, self.flanker_side)
        return (Span(self.duration_ms, content, self.contrast, "stimulus.duration_ms"),)

    def describe(self, said: Mapping[str, str]) -> str:
        return (
            f"for {said['duration_ms']}, at contrast {said['contrast']}, among {said['n_flankers']} small copies of other "
            f"images with {said['flanker_side']} of its side"
        )
