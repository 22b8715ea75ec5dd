"""The same image shown again and again: repetition suppression.

[image duration_ms] [blank gap_ms] ... n_pulses times
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from dynvision.config.section import key
from dynvision.stimuli.stimulus import Span, Stimulus, register
from dynvision.trials.content import IMAGE


@register("train")
class Train(Stimulus):
    """The same image shown again and again."""

    type: Literal["train"] = key(
        "train", "the image is on n_pulses times, for duration_ms each, gap_ms apart"
    )
    duration_ms: float = key(10.0, "how long the image is on each time", "ms", gt=0)
    gap_ms: float = key(10.0, "blank between two of them", "ms", ge=0)
    n_pulses: int = key(4, "how often the image is shown", ge=1)

    def spans(self) -> tuple[Span, ...]:
        pulse = Span(self.duration_ms, IMAGE, self.contrast, "stimulus.duration_ms")
        gap = Span(self.gap_ms, key="stimulus.gap_ms")
        return (pulse, *(gap, pulse) * (self.n_pulses - 1))

    def describe(self, said: Mapping[str, str]) -> str:
        return (
            f"{said['n_pulses']} times for {said['duration_ms']} with gaps of {said['gap_ms']}, "
            f"at contrast {said['contrast']}"
        )
