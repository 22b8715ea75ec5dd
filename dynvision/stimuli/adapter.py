"""Noise, and then an object in the same or in another noise: does adaptation to the noise help to see the object?

    [noise adapter_ms] [blank gap_ms] [c image + b noise duration_ms]        b: noise_contrast

The noise is one pattern an image with the variance of the image. With `same_noise` the object is in the pattern that was
adapted to, without it in another one of the same kind. The benefit is the accuracy with the same noise less that with
another, by contrast of the object. Time 0 is the onset of the adapter; `stimulus_on` is true while the object is on.

Source: Brands et al. (2024), bioRxiv 2024.07.26.605075, for the question; the noise is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dynvision.config.section import key
from dynvision.stimuli.stimulus import MaskKind, Span, Stimulus, register
from dynvision.trials.content import Mask, View

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class InNoise(Mask):
    """The image in noise: the contrast is that of the image.

    Attributes:
        background: b, contrast of the noise.
    """

    background: float = 0.5
    shown = "image"

    def picture(self, view: View, contrast: float) -> Tensor:
        """Return ``c x + b m``."""
        return view.images * contrast + super().picture(view, self.background)


@register("adapter")
class Adapter(Stimulus):
    """Noise, then the image in the same or in another noise."""

    type: Literal["adapter"] = key(
        "adapter", "noise for adapter_ms, and gap_ms later the image in the same or in another noise"
    )
    adapter_ms: float = key(200.0, "how long the noise is on alone", "ms", gt=0)
    gap_ms: float = key(20.0, "blank between the noise and the image", "ms", ge=0)
    duration_ms: float = key(100.0, "how long the image is on", "ms", gt=0)
    same_noise: bool = key(True, "the image is in the noise that was adapted to; false: in another")
    noise_contrast: float = key(0.5, "amplitude of the noise; 1 has the variance of the image", ge=0, le=1)
    adapter_noise: MaskKind = key("gaussiancorr", "kind of the noise")

    def spans(self) -> tuple[Span, ...]:
        adapter = Mask(self.adapter_noise)
        test = InNoise(self.adapter_noise, 0 if self.same_noise else 1, self.noise_contrast)
        return (
            Span(self.adapter_ms, adapter, self.noise_contrast, "stimulus.adapter_ms"),
            Span(self.gap_ms, key="stimulus.gap_ms"),
            Span(self.duration_ms, test, self.contrast, "stimulus.duration_ms"),
        )

    def describe(self, said: Mapping[str, str]) -> str:
        return (
            f"after {said['adapter_ms']} of {said['adapter_noise']} noise and a gap of {said['gap_ms']}, for "
            f"{said['duration_ms']} at contrast {said['contrast']}, in noise of contrast {said['noise_contrast']} (the "
            f"same noise as before: {said['same_noise']}); time 0 is the onset of the noise"
        )
