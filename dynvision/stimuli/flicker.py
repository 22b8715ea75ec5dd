"""An image whose contrast is a sinusoid: what temporal frequencies does a layer follow?

    onoff           c(t) = c (1 - cos(2 pi f t)) / 2         from 0 to c and back, f times a second
    counterphase    c(t) = c sin(2 pi f t)                   the image and its negative, f times a second

A linear layer answers at f. A layer that answers to each reversal of a counterphase image answers at 2 f: the harmonics F1
and F2 of the response (`f1`, `f2` in ``measures``) distinguish them. The contrast of a step is that in its middle.

Source: frequencies as in Mullen, Thompson & Hess (2010), J Vision 10(13):13.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dynvision.config.section import key
from dynvision.errors import InputError
from dynvision.stimuli.stimulus import Span, Stimulus, register
from dynvision.trials.content import IMAGE

FEWEST_STEPS = 4  # in a period, so that the grid has the sinusoid


@dataclass(frozen=True)
class Sinusoid:
    """A factor of contrast that is a sinusoid of time."""

    frequency_hz: float
    counterphase: bool

    def at(self, time_ms: float) -> float:
        """Return the factor at a time from the onset."""
        phase = 2 * math.pi * self.frequency_hz * time_ms / 1000
        return math.sin(phase) if self.counterphase else (1 - math.cos(phase)) / 2

    def check(self, dt: float, where: str) -> None:
        """Check that the time grid can hold the sinusoid.

        Raises:
            InputError: a period has fewer than four steps.
        """
        period = 1000 / self.frequency_hz
        if period < FEWEST_STEPS * dt - 1e-9:
            raise InputError(
                f"{where}stimulus.frequency_hz={self.frequency_hz:g} Hz has a period of {period:g} ms, fewer than "
                f"{FEWEST_STEPS} steps of dt={dt:g} ms; lower the frequency or dt"
            )


@register("flicker")
class Flicker(Stimulus):
    """An image whose contrast is a sinusoid of time."""

    type: Literal["flicker"] = key("flicker", "the image flickers for duration_ms at frequency_hz")
    duration_ms: float = key(1000.0, "how long it flickers", "ms", gt=0)
    frequency_hz: float = key(4.0, "periods in a second", "Hz", gt=0)
    form: Literal["onoff", "counterphase"] = key(
        "onoff", "onoff: contrast between 0 and its maximum; counterphase: the image and its negative"
    )

    def spans(self) -> tuple[Span, ...]:
        sinusoid = Sinusoid(self.frequency_hz, self.form == "counterphase")
        return (Span(self.duration_ms, IMAGE, self.contrast, "stimulus.duration_ms", modulation=sinusoid),)

    def describe(self, said: Mapping[str, str]) -> str:
        how = {
            "onoff": "its contrast a sinusoid between 0 and",
            "counterphase": "reversing its contrast as a sinusoid of amplitude",
        }[self.form]
        return f"for {said['duration_ms']}, {how} {said['contrast']}, at {said['frequency_hz']}"
