"""The same image shown once, twice, or again and again.

    pulse    [image duration_ms]
    pair     [image duration_ms] [blank gap_ms] [image duration_ms]    does the second response recover as the gap grows?
    train    [image duration_ms] [blank gap_ms] ... n_pulses times     repetition suppression

The gap of a pair that is 0 makes one pulse of twice the duration. One that reaches to the end of the record leaves the
first pulse alone: the reference from which recovery is measured.

Source: Groen et al. (2022), J Neurosci 42:7562, for the pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from dynvision.config.section import key
from dynvision.stimuli.stimulus import Span, Stimulus, register
from dynvision.trials.content import IMAGE


@register("pulse")
class Pulse(Stimulus):
    """One image shown once."""

    type: Literal["pulse"] = key("pulse", "the image is on for duration_ms from time 0")
    duration_ms: float = key(40.0, "how long the image is on", "ms", gt=0)

    def spans(self) -> tuple[Span, ...]:
        return (Span(self.duration_ms, IMAGE, self.contrast, "stimulus.duration_ms"),)

    def describe(self, said: Mapping[str, str]) -> str:
        return f"for {said['duration_ms']}, at contrast {said['contrast']}"


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
