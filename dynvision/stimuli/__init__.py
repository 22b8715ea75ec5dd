"""The stimuli by name. Each is one file in this folder, found by being there."""

from __future__ import annotations

from dynvision.stimuli.stimulus import STIMULI, Span, Stimulus, read_stimulus, register

__all__ = ["STIMULI", "Span", "Stimulus", "read_stimulus", "register"]
