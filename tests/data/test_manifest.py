"""A data folder that is incomplete, damaged or of other data is recognised before anything reads it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dynvision.config.data import DataConfig
from dynvision.data.manifest import read_manifest
from dynvision.data.storage import check_betons
from dynvision.errors import InputError


@pytest.fixture
def data(digits_data: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(digits_data, tmp_path / "data"))


@pytest.fixture
def betons(digits_beton: Path, tmp_path: Path) -> Path:
    """A copy with FFCV files to damage."""
    return Path(shutil.copytree(digits_beton, tmp_path / "data"))


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", '{"format_version": 2}', '{"format_', "\x00"])
def test_broken_manifest(data: Path, content: str) -> None:
    (data / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json is broken .*; delete the folder .* and run again"):
        read_manifest(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content["train"]["labels"].pop(),
        lambda content: content["test"]["labels"].append(10),
        lambda content: content["mean"].append(0.5),
        lambda content: content.pop("source_sha256"),
        lambda content: content.update(added=1),
    ],
)
def test_manifest_whose_parts_do_not_agree(data: Path, damage: Callable[[dict], object]) -> None:
    content = json.loads((data / "manifest.json").read_text())
    damage(content)
    (data / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="is broken"):
        read_manifest(data)


def test_missing_manifest_or_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json is missing"):
        read_manifest(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 8}, "resolution is 16 and not 8"),
        ({"n_channels": 3}, "n_channels is 1 and not 3"),
        ({"split_seed": 4}, "split_seed is 3 and not 4"),
        ({"test_fraction": 0.5}, "test_fraction is 0.2 and not 0.5"),
    ],
)
def test_manifest_of_other_data(
    data: Path, digits_config: DataConfig, change: dict[str, int | float], message: str
) -> None:
    assert read_manifest(data, digits_config).config == digits_config.images
    with pytest.raises(InputError, match=message):
        read_manifest(data, digits_config.model_copy(update=change))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def overwrite_header(path: Path) -> None:
    path.write_bytes(b"\xff" * 24 + path.read_bytes()[24:])


def change_count(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8] ^= 1  # the number of images
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "is missing"),
        (empty, "is truncated: it has 0 of .* bytes"),
        (cut, "is truncated: it has .* of .* bytes"),
        (lengthen, "is not the file that was written"),
        (overwrite_header, "is not an FFCV file"),
        (change_count, "is an FFCV file of other images"),
        (flip_a_bit, "has changed since it was written"),
    ],
)
def test_damaged_beton(betons: Path, damage: Callable[[Path], None], message: str) -> None:
    manifest = read_manifest(betons)
    check_betons(betons, manifest)
    damage(betons / "val.beton")
    with pytest.raises(
        InputError, match=rf"val\.beton {message}.*; delete the folder .* and run again"
    ) as caught:
        check_betons(betons, manifest)
    assert "\n" not in str(caught.value)


def test_betons_that_were_never_written(data: Path) -> None:
    with pytest.raises(
        InputError, match=r"train\.beton was not written, because the data was converted without FFCV"
    ):
        check_betons(data, read_manifest(data))
