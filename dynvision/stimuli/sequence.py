"""Any sequence of images, blanks and masks, written out in the configuration.

stimulus: {type: sequence, parts: [{show: image, duration_ms: 20}, {duration_ms: 10}, {show: mask, duration_ms: 20}]}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from dynvision.config.section import Section, key
from dynvision.errors import InputError
from dynvision.stimuli.stimulus import MaskKind, Show, Span, Stimulus, register
from dynvision.trials.content import NAMED, Mask


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
