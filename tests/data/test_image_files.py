"""Which files of a folder are images, what links lead to, and what is said of the rest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageFile

from dynvision.config.data import DataConfig
from dynvision.data import get_dataset
from dynvision.data.conversion import convert_dataset
from dynvision.data.images import images_below, read_image, readable_formats, readable_suffixes
from dynvision.data.sources.class_folders import list_class_folders
from dynvision.errors import InputError
from tests.data.conftest import MakeFolder, write_image


def test_folders_behind_links_are_read(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(cat=2, dog=2)
    for image in range(3):
        write_image(tmp_path / "elsewhere" / "deeper" / f"{image}.png", image)
    (root / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    listed = list_class_folders(root)
    assert [file for file in listed.files if "more" in file] == [f"cat/more/deeper/{n}.png" for n in range(3)]
    assert np.bincount(listed.labels).tolist() == [5, 2]
    assert listed.notes == ()


def test_class_folders_and_files_may_be_links(tmp_path: Path) -> None:
    for image in range(3):
        write_image(tmp_path / "store" / f"{image}.png", image)
    (tmp_path / "set" / "dog").mkdir(parents=True)
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "store")
    (tmp_path / "set" / "dog" / "a.png").symlink_to(tmp_path / "store" / "0.png")
    assert list_class_folders(tmp_path / "set").files == ("cat/0.png", "cat/1.png", "cat/2.png", "dog/a.png")


def test_loops_of_links_end(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(cat=2, dog=2)
    (root / "cat" / "here").symlink_to(root / "cat")
    (root / "cat" / "up").symlink_to(root)
    (root / "dog" / "side").symlink_to(root / "cat")
    for name in ("a", "b"):
        (root / "dog" / name).mkdir()
    (root / "dog" / "a" / "to_b").symlink_to(root / "dog" / "b")
    (root / "dog" / "b" / "to_a").symlink_to(root / "dog" / "a")
    listed = list_class_folders(root)
    assert listed.files == (
        *("cat/000.png", "cat/001.png"),
        *("dog/000.png", "dog/001.png", "dog/side/000.png", "dog/side/001.png"),
    )
    assert listed.notes[0] == (
        "cat: 2 files ignored: 1 linked folder, which is read already; 1 link to a folder above"
    )


def test_a_class_that_is_a_link_upwards_is_refused(make_folder: MakeFolder) -> None:
    root = make_folder(cat=2, dog=2)
    (root / "all").symlink_to(root)
    with pytest.raises(InputError, match=r"all is a link to .*, a folder above it; remove the link"):
        list_class_folders(root)


@pytest.mark.parametrize(
    ("target", "advice"),
    [("../../gone.png", "put it there"), ("../.git/annex/objects/x.png", "git annex get")],
)
def test_an_image_that_a_link_does_not_find_is_named(
    make_folder: MakeFolder, target: str, advice: str
) -> None:
    root = make_folder(cat=2, dog=2)
    (root / "cat" / "lost.png").symlink_to(target)
    with pytest.raises(
        InputError, match=rf"cat/lost\.png is a link to {target}, which is not there.*{advice}"
    ):
        list_class_folders(root)


def test_what_is_ignored_is_said_of_each_class(
    make_folder: MakeFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    root = make_folder(cat=10, dog=10)
    for image in range(50):
        (root / "cat" / f"{image}.HEIC").write_bytes(b"x")
    (root / "cat" / "notes.txt").write_text("x")
    (root / "cat" / "._000.png").write_bytes(b"x")
    (root / "cat" / ".DS_Store").write_bytes(b"x")
    (root / "dog" / "README").write_text("x")
    os.mkfifo(root / "dog" / "pipe.png")
    write_image(root / "beside.png", 0)
    said = [
        f"1 image right in {root}, in no class folder, is ignored",
        "cat: 52 files ignored: 50 .heic, which need pillow-heif (pip install pillow-heif); 1 hidden; 1 .txt",
        "dog: 2 files ignored: 1 without a suffix; 1 no file but a device or a pipe",
    ]
    assert list_class_folders(root).notes == tuple(said)
    for group in ("all", ["cat", "dog"]):
        config = DataConfig(name=f"folder:{root}", resolution=8, split_seed=1, group=group)
        convert_dataset(config, tmp_path / "data", "torch")
        assert capsys.readouterr().out.splitlines()[:3] == said
    assert len(get_dataset(root, "cifar10_test")) == 20
    assert [record.getMessage() for record in caplog.records] == [f"{root}: {note}" for note in said]


def test_the_same_in_many_classes_is_said_once(make_folder: MakeFolder) -> None:
    root = make_folder(a=2, b=2, c=2, d=2, e=2)
    for name in "abcd":
        (root / name / "boxes.txt").write_text("x")
    (root / "e" / "x.csv").write_text("x")
    assert list_class_folders(root).notes == (
        "a, b, c and 1 more, in each: 1 file ignored: 1 .txt",
        "e: 1 file ignored: 1 .csv",
    )


def test_a_class_of_ignored_files_says_which(make_folder: MakeFolder) -> None:
    root = make_folder(cat=2, dog=2)
    for image in ("000", "001"):
        (root / "dog" / f"{image}.png").rename(root / "dog" / f"{image}.heic")
    with pytest.raises(InputError, match=r"dog has no images \(2 files ignored: 2 \.heic, which need"):
        list_class_folders(root)


def test_a_split_without_a_class_is_said(make_folder: MakeFolder) -> None:
    make_folder("images/train", a=2, b=2, c=2)
    root = make_folder("images/test", b=2).parent
    assert list_class_folders(root).notes == ("test has no images of a, c",)


@pytest.mark.parametrize("suffix", [".h5", ".hdf", ".grib", ".bufr", ".fits", ".mpg", ".wmf", ".eps"])
def test_data_films_and_drawings_are_no_images(make_folder: MakeFolder, suffix: str) -> None:
    root = make_folder(cat=2, dog=2)
    (root / "cat" / f"x{suffix}").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    listed = list_class_folders(root)
    assert len(listed.files) == 4 and listed.notes == (f"cat: 1 file ignored: 1 {suffix}",)


class _Plugin(ImageFile.ImageFile):
    format = "HEIF"

    def _open(self) -> None:
        self._mode, self._size = "L", (2, 1)
        self.tile = [ImageFile._Tile("raw", (0, 0, 2, 1), 8, ("L", 0, 1))]


@pytest.fixture
def heif_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The part of pillow-heif that is asked of: it registers a format of two grey pixels behind eight bytes."""

    def register() -> None:
        Image.register_open("HEIF", _Plugin, lambda start: start.startswith(b"testheif"))
        Image.register_extension("HEIF", ".heic")

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    for cached in (readable_formats, readable_suffixes):
        cached.cache_clear()
    yield
    for cached in (readable_formats, readable_suffixes):
        cached.cache_clear()
    for registry in (Image.OPEN, Image.EXTENSION):
        for key in ("HEIF", ".heic"):
            registry.pop(key, None)  # type: ignore[call-overload]
    Image.ID.remove("HEIF")


def test_heic_is_read_where_its_plugin_is_installed(heif_plugin: None, make_folder: MakeFolder) -> None:
    root = make_folder(cat=2, dog=2)
    path = root / "cat" / "b.HEIC"
    path.write_bytes(b"testheif" + bytes([7, 200]))
    assert np.asarray(read_image(path, 1)).tolist() == [[7, 200]]
    assert images_below(root / "cat", root).files == ["cat/000.png", "cat/001.png", "cat/b.HEIC"]
