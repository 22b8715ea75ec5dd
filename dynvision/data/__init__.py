"""Images: sources, splits, conversion to FFCV files, and two loaders that give the same batches.

Names are imported when they are first used, so that the command line starts fast and FFCV stays optional.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynvision.registry import lazy_names

if TYPE_CHECKING:
    from dynvision.data.conversion import convert_dataset
    from dynvision.data.datamodule import DataModule
    from dynvision.data.manifest import Manifest, read_manifest
    from dynvision.data.sources import SOURCES, ImageSource, open_source, register
    from dynvision.data.sources.class_folders import get_dataset

__all__ = [
    "SOURCES",
    "DataModule",
    "ImageSource",
    "Manifest",
    "convert_dataset",
    "get_dataset",
    "open_source",
    "read_manifest",
    "register",
]

__getattr__ = lazy_names(__name__)
