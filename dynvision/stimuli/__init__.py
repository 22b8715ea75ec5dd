"""The stimuli by name. Each is one file in this folder, found by being there."""

from __future__ import annotations

import dynvision.config  # noqa: F401  first: the configuration imports the base class of this package
from dynvision.stimuli.stimulus import STIMULI, Span, Stimulus, read_stimulus, register

__all__ = ["STIMULI", "Span", "Stimulus", "read_stimulus", "register"]
