"""Sources of images, one file each. Importing a file registers its source."""

from dynvision.data.sources import arrays, cifar, files, synset_folders
from dynvision.data.sources.source import SOURCES, ImageSource, open_source, register

__all__ = [
    "SOURCES",
    "ImageSource",
    "arrays",
    "cifar",
    "files",
    "open_source",
    "register",
    "synset_folders",
]
