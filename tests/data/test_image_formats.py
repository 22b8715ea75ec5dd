"""What becomes of the pixels of every format: a case or more for each row of the table in docs/data.md."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynvision.data.images import read_image, readable_suffixes
from dynvision.errors import InputError
from tests.data.format_cases import CASES, CLEAR
from tests.data.pictures import filled, orientation, saved

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_pixels_are_those_of_the_table(name: str, tmp_path: Path) -> None:
    _, suffix, content, n_channels, expected, tolerance = CASES[name]
    path = tmp_path / f"image{suffix}"
    path.write_bytes(content)
    assert suffix in readable_suffixes()
    pixels = np.asarray(read_image(path, n_channels)).astype(int)
    if np.ndim(expected) > 1:
        assert pixels.shape == np.shape(expected)
    assert np.abs(pixels - expected).max() <= tolerance


def table() -> list[str]:
    """First column of the table of formats."""
    rows = PAGE.partition("| format | suffixes |")[2].partition("\n\n")[0].splitlines()[2:]
    return [row.split("|")[1].strip() for row in rows]


def test_every_row_of_the_table_has_a_case() -> None:
    assert [*dict.fromkeys(row for row, *_ in CASES.values())] == [row for row in table() if row != "HEIC"]


def test_every_suffix_is_in_the_table() -> None:
    named = set(re.findall(r"`(\.\w+)`", PAGE))
    assert readable_suffixes() - named == set()


TURNS = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("value", TURNS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_orientation_is_turned_upright(tmp_path: Path, value: int, dtype: type) -> None:
    stored = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    path = tmp_path / "turned.png"
    scaled = stored.astype(dtype) * (257 if dtype is np.uint16 else 1)
    path.write_bytes(saved(scaled, "PNG", exif=orientation(value)))
    assert np.asarray(read_image(path, 1)).tolist() == TURNS[value](stored).tolist()


@pytest.mark.parametrize(
    ("suffix", "content", "words"),
    [
        (".tiff", saved(np.zeros((2, 2), np.float32), "TIFF"), "floating-point numbers of 32 bits"),
        (".tiff", saved(np.zeros((2, 2), np.int32), "TIFF"), "whole numbers of 32 bits"),
        (".pfm", saved(np.zeros((2, 2), np.float32), "PPM"), "floating-point numbers of 32 bits"),
    ],
)
def test_other_numbers_are_refused(tmp_path: Path, suffix: str, content: bytes, words: str) -> None:
    path = tmp_path / f"image{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=rf"image{suffix} cannot be read: its pixels are {words}, where 8 or 16"
    ):
        read_image(path, 1)


@pytest.mark.parametrize(("ground", "level"), [(0.0, 0), (0.25, 64), (0.5, 128), (1.0, 255)])
def test_the_ground_can_be_chosen(tmp_path: Path, ground: float, level: int) -> None:
    path = tmp_path / "clear.png"
    path.write_bytes(saved(filled("RGBA", CLEAR), "PNG"))
    assert (np.asarray(read_image(path, 3, ground)) == level).all()


def test_opaque_pixels_do_not_change(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    colours[..., 3] = 255
    path = tmp_path / "opaque.png"
    path.write_bytes(saved(colours, "PNG"))
    assert np.array_equal(np.asarray(read_image(path, 3)), colours[..., :3])
    grey = Image.fromarray(colours[..., :3]).convert("L")
    assert np.array_equal(np.asarray(read_image(path, 1)), np.asarray(grey))
