"""The stimuli by name. Every file in this folder is found by being there."""

from __future__ import annotations

from dynvision.stimuli.stimulus import STIMULI, Span, Stimulus, read_stimulus, register

__all__ = ["STIMULI", "Span", "Stimulus", "read_stimulus", "register"]
