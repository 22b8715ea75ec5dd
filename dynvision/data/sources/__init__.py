"""Sources of images, one file each. Importing a file registers its source."""

from dynvision.data.sources import cifar, digits, folder, idx, synset_folders
from dynvision.data.sources.open_source import open_source
from dynvision.data.sources.source import SOURCES, ImageSource, register

__all__ = [
    "SOURCES",
    "ImageSource",
    "cifar",
    "digits",
    "folder",
    "idx",
    "open_source",
    "register",
    "synset_folders",
]
