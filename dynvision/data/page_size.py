"""Pages of an FFCV file: the unit in which it is written, and shuffled by QUASI_RANDOM."""

from __future__ import annotations

from dynvision.config.data import SMALLEST_PAGE, ImagesConfig
from dynvision.data.storage import N_CHANNELS_STORED
from dynvision.errors import InputError


def stored_bytes(config: ImagesConfig) -> int:
    """Size of one image in an FFCV file, at most; noise at the highest quality grows when it is compressed."""
    pixels = config.stored_size**2 * N_CHANNELS_STORED
    return pixels if config.write_mode == "raw" else 2 * pixels


def page_bytes(config: ImagesConfig) -> int:
    """Size of a page: as asked for, otherwise the smallest that holds an image.

    Raises:
        InputError: an image does not fit on a page of the size asked for.
    """
    image = stored_bytes(config)
    if not config.page_size:
        return max(SMALLEST_PAGE, 1 << (image - 1).bit_length())  # small data in small files
    if config.page_size < image:
        raise InputError(
            f"data.page_size={config.page_size} is smaller than an image of {image:,} bytes; raise it or set it to 0"
        )
    return config.page_size


def page_images(config: ImagesConfig) -> int:
    """Images that lie on a page at least."""
    return page_bytes(config) // stored_bytes(config)
