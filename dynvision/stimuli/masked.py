"""A short image and a mask after it: backward masking.

    [image duration_ms] [blank] [mask mask_duration_ms]        the mask comes on at soa_ms

The mask is noise about the mean grey with the variance of the image, drawn once for each image. A stimulus onset asynchrony
(SOA) that reaches to the end of the record leaves the image unmasked.

Source: Rolls, Tovee & Panzeri (1999), J Cogn Neurosci 11:300, for the protocol; the masks are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from dynvision.config.section import key
from dynvision.errors import InputError
from dynvision.stimuli.stimulus import MaskKind, Span, Stimulus, register
from dynvision.trials.content import IMAGE, Mask


@register("masked")
class Masked(Stimulus):
    """A short image and a mask after it."""

    type: Literal["masked"] = key(
        "masked", "the image is on for duration_ms; soa_ms after it came on, a mask does"
    )
    duration_ms: float = key(16.0, "how long the image is on", "ms", gt=0)
    soa_ms: float = key(
        20.0, "from the onset of the image to that of the mask, at least duration_ms", "ms", gt=0
    )
    mask_duration_ms: float = key(40.0, "how long the mask is on", "ms", gt=0)
    mask_contrast: float = key(1.0, "amplitude of the mask; 1 has the variance of the image", ge=0, le=1)
    mask: MaskKind = key("phasescrambled", "kind of noise that the mask is made of")

    def spans(self) -> tuple[Span, ...]:
        gap = self.soa_ms - self.duration_ms
        if gap < 0:
            raise InputError(
                f"stimulus.soa_ms={self.soa_ms:g} ms is before the image ends at stimulus.duration_ms="
                f"{self.duration_ms:g} ms; raise soa_ms or lower duration_ms"
            )
        image = Span(self.duration_ms, IMAGE, self.contrast, "stimulus.duration_ms")
        mask = Span(
            self.mask_duration_ms, Mask(self.mask), self.mask_contrast, "stimulus.mask_duration_ms", True
        )
        return (image, Span(gap, key="stimulus.soa_ms - stimulus.duration_ms"), mask)

    def describe(self, said: Mapping[str, str]) -> str:
        return (
            f"for {said['duration_ms']} at contrast {said['contrast']}, and {said['soa_ms']} after it came a "
            f"{said['mask']} mask for {said['mask_duration_ms']} at contrast {said['mask_contrast']}"
        )
