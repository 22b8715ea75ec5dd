"""``folder:<path>``: a folder of class folders with images in any format that Pillow reads."""

from __future__ import annotations

from dynvision.config.data import FOLDER_PREFIX, ImagesConfig
from dynvision.data.class_folders import list_class_folders
from dynvision.data.sources.files import FileSource
from dynvision.data.sources.source import register


@register("folder")
class FolderSource(FileSource):
    """Classes are the sorted names of the folders."""

    def __init__(self, config: ImagesConfig) -> None:
        listed = list_class_folders(config.name.removeprefix(FOLDER_PREFIX).strip())
        super().__init__(
            config,
            listed.root,
            listed.files,
            listed.labels,
            listed.class_names,
            listed.given_splits,
            listed.notes,
        )
