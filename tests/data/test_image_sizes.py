"""Images that are very large, very long, or many at once: memory stays bounded and pixels are right."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynvision.config.data import DataConfig
from dynvision.data import images
from dynvision.data.images import crop_centre, fit_image, read_image, resize_shorter_side
from dynvision.data.sources import open_source
from dynvision.errors import InputError
from tests.data.conftest import MakeFolder
from tests.data.pictures import filled, saved

MEASURED = """
import resource, sys
from dynvision.data.images import fit_image, read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pixels = fit_image(read_image(sys.argv[1], 3), 224)
print(pixels.min(), pixels.max(), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def measured(path: Path) -> tuple[int, int, int]:
    """Smallest and largest pixel of an image of 224 px, and the memory in MiB that it took to read it."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True
    )
    smallest, largest, mib = map(int, done.stdout.split())
    return smallest, largest, mib


@pytest.mark.parametrize("size", [(1, 1_000_000), (1_000_000, 1), (3, 700_000)])
def test_long_images_take_little_memory(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (40, 40, 40)).save(tmp_path / "long.png")
    smallest, largest, mib = measured(tmp_path / "long.png")
    assert smallest == largest == 40
    assert mib < 200


@pytest.mark.parametrize("size", [(5, 40), (40, 5), (16, 16), (30, 31), (90, 3), (7, 100)])
@pytest.mark.parametrize("resolution", [4, 9, 32])
def test_cutting_before_resizing_gives_the_same_pixels(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], resolution: int
) -> None:
    # Of low contrast, so that nothing is clipped between the two directions, whose order Pillow chooses by their cost.
    pixels = np.random.default_rng(3).integers(90, 166, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    whole = fit_image(image, resolution)
    assert np.array_equal(whole, np.array(crop_centre(resize_shorter_side(image, resolution), resolution)))
    monkeypatch.setattr(images, "LARGEST_RESIZED", 0)
    assert np.abs(fit_image(image, resolution).astype(int) - whole).max() <= 1


def test_an_image_of_more_than_179_megapixels_is_read(tmp_path: Path) -> None:
    Image.new("1", (20_000, 9_000), 1).save(tmp_path / "large.png")
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit_image(read_image(tmp_path / "large.png", 1), 8).min() == 255
    assert before == Image.MAX_IMAGE_PIXELS


def test_what_is_too_large_is_said_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(saved(filled("L", 0, 64), "PNG"))
    monkeypatch.setattr(images, "LARGEST_PIXELS", 4095)
    with pytest.raises(
        InputError, match=r"large\.png cannot be read: it has 64 x 64 px, where 4,095 px are allow"
    ):
        read_image(path, 1)


def test_a_frame_that_is_too_large_is_no_attack(tmp_path: Path) -> None:
    content = bytearray(saved(filled("L", 0), "PNG"))
    content[16:24] = (2**30).to_bytes(4, "big") * 2  # the header's width and height
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(InputError, match="bad.png cannot be read") as caught:
        read_image(tmp_path / "bad.png", 1)
    assert "attack" not in str(caught.value) and "bomb" not in str(caught.value)


@pytest.mark.parametrize(("at_once", "together"), [(1, 1), (2 * 144, 2)])
def test_threads_share_the_memory(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch, at_once: int, together: int
) -> None:
    root = make_folder(size=(12, 12), cat=8, dog=8)
    source = open_source(DataConfig(name=f"folder:{root}", resolution=8))
    decoding, most, lock = [0], [0], threading.Lock()
    upright = images.upright

    def counted(*args: object) -> Image.Image:
        with lock:
            decoding[0] += 1
            most[0] = max(most[0], decoding[0])
        try:
            threading.Event().wait(0.005)
            return upright(*args)  # type: ignore[arg-type]
        finally:
            with lock:
                decoding[0] -= 1

    monkeypatch.setattr(images, "upright", counted)
    monkeypatch.setattr(images, "PIXELS_AT_ONCE", at_once)
    with ThreadPoolExecutor(6) as pool:
        assert len(list(pool.map(source.__getitem__, range(16)))) == 16
    assert 1 <= most[0] <= together
