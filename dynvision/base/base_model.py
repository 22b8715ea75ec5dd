"""A complete model: the temporal core and Lightning training."""

from __future__ import annotations

from dynvision.base.lightning_base import LightningBase
from dynvision.base.temporal_base import TemporalBase


class BaseModel(TemporalBase, LightningBase):
    """The class to derive a model from: implement ``_define_architecture``."""
