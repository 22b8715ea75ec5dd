"""Pixels from files: orientation, depth, channels, size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynvision.data.images import fit_image, read_image
from dynvision.errors import InputError


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_grey_is_luma_and_rgb_keeps_channels(tmp_path: Path) -> None:
    path = save(tmp_path / "red.png", np.array([[[200, 100, 50]]], dtype=np.uint8))
    assert np.asarray(read_image(path, 1)).item() == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    assert np.asarray(read_image(path, 3)).tolist() == [[[200, 100, 50]]]


def test_grey_file_as_rgb_repeats_the_channel(tmp_path: Path) -> None:
    path = save(tmp_path / "grey.png", np.array([[7]], dtype=np.uint8))
    assert np.asarray(read_image(path, 3)).tolist() == [[[7, 7, 7]]]


@pytest.mark.parametrize(("width", "height"), [(9, 4), (4, 9), (4, 4)])
def test_crop_is_the_centre(width: int, height: int) -> None:
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = (10 * rows + columns).astype(np.uint8)
    left, top = (width - 4) // 2, (height - 4) // 2
    expected = pixels[top : top + 4, left : left + 4, None]
    assert np.array_equal(fit_image(Image.fromarray(pixels), 4), expected)


def test_shorter_side_is_resized_with_antialiasing() -> None:
    stripes = np.tile(np.array([[0, 255]], dtype=np.uint8), (8, 16))  # 32 x 8, one pixel wide
    small = fit_image(Image.fromarray(stripes), 2)
    assert small.shape == (2, 2, 1)
    assert np.abs(small.astype(int) - 127).max() <= 8  # without antialiasing it would be 0 or 255


def test_truncated_jpeg_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / "cut.jpg", noise)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match="cut.jpg cannot be read"):
        read_image(path, 3)
