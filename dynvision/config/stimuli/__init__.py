"""The stimuli by name. Each is one file in this folder, found by being there."""

from __future__ import annotations

import importlib
import pkgutil

from dynvision.config.stimuli.stimulus import STIMULI, Span, Stimulus, read_stimulus, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["STIMULI", "Span", "Stimulus", "read_stimulus", "register"]
