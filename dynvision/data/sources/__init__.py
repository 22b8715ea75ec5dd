"""Sources of images, one file each. Importing a file registers its source."""

from dynvision.data.sources import digits, folder
from dynvision.data.sources.source import SOURCES, ImageSource, open_source, register

__all__ = ["SOURCES", "ImageSource", "digits", "folder", "open_source", "register"]
