"""Noise on the image: the settings, the kinds by name, and how a kind and an image become what is seen.

A kind is a function of one request, registered where it is written; a new one is one more file in this folder.
"""

from __future__ import annotations

from dynvision.noise.blend import NoiseConfig, blend, mask_of
from dynvision.noise.kind import NOISES, NoiseKind, NoiseRequest, PixelScale, register

__all__ = [
    "NOISES",
    "NoiseConfig",
    "NoiseKind",
    "NoiseRequest",
    "PixelScale",
    "blend",
    "mask_of",
    "register",
]
