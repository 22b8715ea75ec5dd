"""What is said of a file that is no image: what it is instead."""

from __future__ import annotations

import gzip
import io
import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL.PngImagePlugin import PngImageFile

from dynvision.data.images import fit_image, read_image
from dynvision.errors import InputError
from dynvision.files import what_it_is
from tests.data.format_cases import CASES
from tests.data.pictures import filled, saved

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def numpy_file() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def zip_file() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("a", "b")
    return file.getvalue()


KINDS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file"),
    "zeros": (bytes(5000), "a file of zeros"),
    "git-lfs": (LFS, "a git-lfs pointer, not the file itself (fetch it with 'git lfs pull')"),
    "git-annex": (b"/annex/objects/MD5E-s1--ab.png\n", "a git-annex pointer"),
    "html": (b"\n<!DOCTYPE html>\n<html><head><title>404", "an HTML page"),
    "html without doctype": (b"<HTML><body>Sign in", "an HTML page"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">', "an SVG drawing"),
    "text": (b"not an image, but words", "a text that begins with 'not an image, but words'"),
    "json": (b'{"error": "forbidden"}', 'a text that begins with \'{"error": "forbidden"}\''),
    "latin": ("é".encode("latin-1") * 9, "a file of no known kind"),
    "pdf": (b"%PDF-1.7\n", "a PDF document"),
    "zip": (zip_file(), "a zip archive"),
    "gzip": (gzip.compress(b"x"), "a gzip archive"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(9), "HDF5 data"),
    "numpy": (numpy_file(), "a NumPy array"),
    "pickle": (pickle.dumps({1: 2}), "a Python pickle"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC image, which needs pillow-heif"),
    "mp4": (b"\0\0\0\x20ftypisom\0\0\2\0", "a video"),
    "png": (b"\x89PNG\r\n\x1a\n broken", "a damaged PNG image"),
    "jpeg": (b"\xff\xd8\xff\xe0", "a damaged JPEG image"),
    "noise": (bytes(range(128, 256)) * 8, "a file of no known kind"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_a_file_is_instead(name: str, tmp_path: Path) -> None:
    content, words = KINDS[name]
    path = tmp_path / "bad.png"  # the name is not looked at
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_image(path, 3)
    message = str(caught.value)
    assert message.startswith(f"image {path} cannot be read: it is {words}")
    assert message.endswith("; repair or remove it")
    assert "\n" not in message and "cannot identify" not in message


def damaged(content: bytes, draw: random.Random) -> bytes:
    """A file with some bytes changed, cut off, taken out or put in."""
    spoilt = bytearray(content)
    place, length = draw.randrange(len(spoilt)), draw.randint(1, 40)
    match draw.choice(["change", "header", "end", "take", "put"]):
        case "change":
            for _ in range(draw.randint(1, 8)):
                spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
        case "header":
            for _ in range(draw.randint(1, 3)):
                spoilt[draw.randrange(min(64, len(spoilt)))] = draw.choice([0, 1, 127, 128, 255])
        case "end":
            del spoilt[place:]
        case "take":
            del spoilt[place : place + length]
        case "put":
            spoilt[place:place] = draw.randbytes(length)
    return bytes(spoilt)


@pytest.mark.filterwarnings("ignore")
def test_damaged_images_are_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    """Of every format some damaged copies, from a fixed seed."""
    draw = random.Random(14)
    n_refused = 0
    for _, suffix, content, n_channels, *_ in CASES.values():
        for _ in range(8):
            path = tmp_path / f"damaged{suffix}"
            path.write_bytes(damaged(content, draw))
            try:
                assert fit_image(read_image(path, n_channels), 8).shape == (8, 8, n_channels)
            except InputError as error:
                n_refused += 1
                assert str(error).startswith(f"image {path} cannot be read: ") and "\n" not in str(error)
    assert n_refused > 200


def test_whatever_a_decoder_raises_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(saved(filled("L", 1), "PNG"))
    for error in (
        RuntimeError("Decoding of\nplanes failed"),
        KeyError(7),
        ZeroDivisionError(),
        MemoryError(),
    ):

        def load(image: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(PngImageFile, "load", load)
        with pytest.raises(InputError, match="image.png cannot be read: .*; repair or remove it") as caught:
            read_image(path, 1)
        assert "\n" not in str(caught.value)


def test_a_large_file_is_looked_at_only_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    with open(path, "wb") as file:
        file.truncate(20 * 2**30)  # takes no place
    with pytest.raises(InputError, match="it is a file of zeros"):
        read_image(path, 3)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.png", "does not exist"),
        ("folder", "cannot be read: it is a folder"),
        ("/dev/null", "cannot be read: it is no file but a device"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=rf"^image {tmp_path / name} {words}"):
        read_image(tmp_path / name, 3)


def test_text_in_other_letters_is_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("\u56fe\u50cf" * 300, encoding="utf-8")  # 512 bytes end within a letter
    assert what_it_is(tmp_path / "a").startswith("a text that begins with '\u56fe\u50cf")


def test_a_whole_image_cut_short_names_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path.write_bytes(saved(noise, "PNG")[:-2000])
    with pytest.raises(InputError, match=r"cut\.png cannot be read: .*truncated"):
        read_image(path, 3)
    path.write_bytes(saved(filled("L", 1), "PNG"))
    assert np.asarray(read_image(path, 1)).max() == 1
