"""The foundations of a model. What needs Lightning is imported when it is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dynvision.base.frames import Frames
from dynvision.base.state import ModelState
from dynvision.base.temporal_base import TemporalBase

if TYPE_CHECKING:
    from dynvision.base.base_model import BaseModel
    from dynvision.base.lightning_base import LightningBase

__all__ = ["BaseModel", "Frames", "LightningBase", "ModelState", "TemporalBase"]

_WITH_LIGHTNING = {"BaseModel": "base_model", "LightningBase": "lightning_base"}


def __getattr__(name: str) -> Any:
    if name in _WITH_LIGHTNING:
        return getattr(importlib.import_module(f"dynvision.base.{_WITH_LIGHTNING[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
