"""One image shown once.

[image duration_ms]
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
