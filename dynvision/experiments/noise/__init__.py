"""Kinds of noise by name. Each is one file in this folder, found by being there."""

from __future__ import annotations

import importlib
import pkgutil

from dynvision.experiments.noise.kind import NOISES, NoiseRequest, PixelScale, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["NOISES", "NoiseRequest", "PixelScale", "register"]
