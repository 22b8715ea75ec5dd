"""From a configuration to its source."""

from __future__ import annotations

from dynvision.config.data import FOLDER_PREFIX, ImagesConfig
from dynvision.data.sources.selected_classes import SelectedClasses
from dynvision.data.sources.source import SOURCES, ImageSource
from dynvision.errors import unknown_name


def open_source(config: ImagesConfig) -> ImageSource:
    """The source that a configuration names: the classes of its group, at its stored size and number of channels.

    Raises:
        InputError: the name is unknown, there is nothing usable in the folder, or a class is not there.
    """
    name = FOLDER_PREFIX.rstrip(":") if config.name.startswith(FOLDER_PREFIX) else config.name
    if name not in SOURCES:
        raise unknown_name("data set", name, SOURCES, key="data_name")
    source = SOURCES[name](config)
    return SelectedClasses(source, config.group) if config.group else source
