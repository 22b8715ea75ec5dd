"""The same image shown twice: does the second response recover as the gap grows?

    [image duration_ms] [blank gap_ms] [image duration_ms]

A gap of 0 is one pulse of twice the duration. A gap that reaches to the end of the record leaves the first pulse alone: the
reference from which recovery is measured.

Source: Groen et al. (2022), J Neurosci 42:7562, for the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from dynvision.config.section import key
from dynvision.stimuli.stimulus import Span, Stimulus, register
from dynvision.trials.content import IMAGE


@register("pair")
class Pair(Stimulus):
    """The same image shown twice."""

    type: Literal["pair"] = key("pair", "the image is on twice, for duration_ms each, gap_ms apart")
    duration_ms: float = key(10.0, "how long the image is on each time", "ms", gt=0)
    gap_ms: float = key(10.0, "blank between the two", "ms", ge=0)

    def spans(self) -> tuple[Span, ...]:
        first = Span(self.duration_ms, IMAGE, self.contrast, "stimulus.duration_ms")
        second = Span(self.duration_ms, IMAGE, self.contrast, "stimulus.duration_ms", may_be_late=True)
        return (first, Span(self.gap_ms, key="stimulus.gap_ms"), second)

    def describe(self, said: Mapping[str, str]) -> str:
        return (
            f"twice for {said['duration_ms']} with a gap of {said['gap_ms']}, at contrast {said['contrast']}"
        )
