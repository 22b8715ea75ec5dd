"""Images and masks that follow each other.

    masked      [image duration_ms] [blank] [mask mask_duration_ms]      the mask comes on at soa_ms
    rsvp        [image duration_ms] [blank gap_ms] ... n_in_row times    the target is at target_position, counted from 1
    sequence    {type: sequence, parts: [{show: image, duration_ms: 20}, {duration_ms: 10}, {show: mask, duration_ms: 20}]}

**masked.** The mask is noise about the mean grey with the variance of the image, drawn once for each image. A stimulus
onset asynchrony (SOA) that reaches to the end of the record leaves the image unmasked.

**rsvp.** The other images of a row are those that follow the target in the test set, which comes round robin over the
classes. `stimulus_on` is true while the target is on; `shown` states ``other`` for the rest of the row. Time 0 is the onset
of the row.

Sources: Rolls, Tovee & Panzeri (1999), J Cogn Neurosci 11:300, for the protocol of masking; the masks are ours. Sörensen,
Bohté, de Jong, Slagter & Scholte (2023), PLOS Comput Biol 19:e1011169, for rows of 13 to 80 ms an image (rapid serial
visual presentation).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from dynvision.config.section import Section, key
from dynvision.errors import InputError
from dynvision.stimuli.stimulus import MaskKind, Show, Span, Stimulus, register
from dynvision.trials.content import IMAGE, NAMED, Mask, Other


class Part(Section):
    """One part of a sequence."""

    show: Show = key("blank", "what is shown")
    duration_ms: float = key(10.0, "how long", "ms", gt=0)
    contrast: float = key(
        1.0, "amplitude about the mean grey; multiplies the contrast of the stimulus", ge=0, le=1
    )


@register("sequence")
class Sequence(Stimulus):
    """Parts that follow each other."""

    type: Literal["sequence"] = key("sequence", "parts that follow each other, written out")
    parts: tuple[Part, ...] = key(
        (Part(show="image"),), "the parts: show (image, blank, mask), duration_ms, contrast"
    )
    mask: MaskKind = key("phasescrambled", "kind of noise that masks are made of")

    def spans(self) -> tuple[Span, ...]:
        if not self.parts or self.parts[0].show == "blank":
            raise InputError(
                "stimulus.parts must begin with an image or a mask, since time 0 is stimulus onset; "
                "a blank before it is baseline_ms"
            )
        return tuple(
            Span(
                part.duration_ms,
                Mask(self.mask) if part.show == "mask" else NAMED[part.show],
                part.contrast * self.contrast,
                f"stimulus.parts[{index}].duration_ms",
            )
            for index, part in enumerate(self.parts)
        )

    def describe(self, said: Mapping[str, str]) -> str:
        parts = ", ".join(f"{part.show} {part.duration_ms:g} ms" for part in self.parts)
        return f"in the sequence {parts}, at contrast {said['contrast']}"


@register("rsvp")
class Rsvp(Stimulus):
    """A row of images with a target among them."""

    type: Literal["rsvp"] = key("rsvp", "a row of images, each on for duration_ms; one of them is the target")
    duration_ms: float = key(40.0, "how long each image is on", "ms", gt=0)
    gap_ms: float = key(0.0, "blank between two images", "ms", ge=0)
    n_in_row: int = key(5, "images in the row", ge=1)
    target_position: int = key(3, "place of the target in the row, from 1", ge=1)

    def spans(self) -> tuple[Span, ...]:
        if self.target_position > self.n_in_row:
            raise InputError(
                f"stimulus.target_position={self.target_position} is not in a row of stimulus.n_in_row="
                f"{self.n_in_row} images; lower it or raise n_in_row"
            )
        spans: list[Span] = []
        others = 0
        for place in range(1, self.n_in_row + 1):
            others += place != self.target_position
            content = IMAGE if place == self.target_position else Other(others)
            spans += [Span(self.gap_ms, key="stimulus.gap_ms")] if place > 1 else []
            spans.append(Span(self.duration_ms, content, self.contrast, "stimulus.duration_ms"))
        return tuple(spans)

    def describe(self, said: Mapping[str, str]) -> str:
        return (
            f"as number {said['target_position']} in a row of {said['n_in_row']} images of {said['duration_ms']} each with "
            f"gaps of {said['gap_ms']}, at contrast {said['contrast']}; time 0 is the beginning of the row"
        )


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
