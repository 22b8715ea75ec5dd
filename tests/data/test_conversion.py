"""Conversion: what is written, and that whatever stops it leaves nothing that looks whole."""

from __future__ import annotations

import errno
import json
import multiprocessing
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from dynvision import text
from dynvision.config.data import DataConfig
from dynvision.config.training import LoaderName
from dynvision.data import conversion
from dynvision.data.conversion import convert_dataset
from dynvision.data.manifest import read_manifest
from dynvision.data.sources import open_source
from dynvision.data.sources.class_folders import FolderSource
from dynvision.data.splits import SPLITS
from dynvision.data.storage import check_betons
from dynvision.errors import InputError
from tests.data.conftest import MakeFolder

BETONS = [f"{split}.beton" for split in SPLITS]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def folder_config(root: Path, **settings: object) -> DataConfig:
    return DataConfig(name=f"folder:{root}", resolution=8, split_seed=1, **settings)


def test_manifest_tells_what_was_converted(make_folder: MakeFolder, tmp_path: Path) -> None:
    config = folder_config(make_folder(cat=10, dog=8))
    written = convert_dataset(config, tmp_path / "data", loader="torch")
    manifest = read_manifest(tmp_path / "data", config)
    assert manifest == written
    assert manifest.class_names == ("cat", "dog")
    assert manifest.input_shape == (3, 8, 8)
    assert manifest.counts == {"train": 12, "val": 2, "test": 4}
    source = open_source(config)
    for split in SPLITS:
        record = manifest.split(split)
        assert record.labels == tuple(source.labels[list(record.indices)])
        assert record.beton is None
    assert json.loads((tmp_path / "data" / "manifest.json").read_text())["counts"] == manifest.counts


def test_statistics_are_those_of_the_training_pixels(make_folder: MakeFolder, tmp_path: Path) -> None:
    config = folder_config(make_folder(cat=7, dog=7))
    manifest = convert_dataset(config, tmp_path / "data", loader="torch")
    source = open_source(config)
    pixels = np.stack([source[index][0] for index in manifest.train.indices]) / 255
    assert manifest.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), abs=1e-12)
    assert manifest.sd == pytest.approx(pixels.std(axis=(0, 1, 2)), abs=1e-12)


def test_beton_holds_the_pixels_of_the_source(digits_beton: Path, digits_config: DataConfig) -> None:
    from ffcv.reader import Reader

    source = open_source(digits_config)
    manifest = read_manifest(digits_beton)
    check_betons(digits_beton, manifest)
    for split in SPLITS:
        path = digits_beton / f"{split}.beton"
        reader, content = Reader(str(path)), np.memmap(path, "uint8", "r")
        record = manifest.split(split)
        assert reader.num_samples == record.n_images
        for position in range(0, record.n_images, 50):
            image, label = reader.metadata[position]
            start, size = int(image["data_ptr"]), 16 * 16 * 3
            pixels = content[start : start + size].reshape(16, 16, 3)
            assert np.array_equal(pixels, source[record.indices[position]][0].repeat(3, axis=2))
            assert label == record.labels[position]


def test_conversion_is_repeatable(make_folder: MakeFolder, ffcv: None, tmp_path: Path) -> None:
    config = folder_config(make_folder(cat=10, dog=8))
    first, second = (convert_dataset(config, tmp_path / name, loader="ffcv") for name in "ab")
    assert first == second
    assert names(tmp_path / "a") == sorted([*BETONS, "converted.json", "manifest.json"])
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_images_larger_than_a_page_are_written(make_folder: MakeFolder, ffcv: None, tmp_path: Path) -> None:
    root = make_folder(cat=3, dog=3)
    config = DataConfig(name=f"folder:{root}", resolution=900, split_seed=1)
    check_betons(tmp_path / "data", convert_dataset(config, tmp_path / "data", loader="ffcv"))


def test_unreadable_image_is_named_and_nothing_is_left(
    make_folder: MakeFolder, ffcv: None, tmp_path: Path
) -> None:
    root = make_folder(cat=10, dog=8)
    (root / "dog" / "003.png").write_bytes(b"broken")
    for loader in ("memory", "torch", "ffcv"):
        with pytest.raises(InputError, match=r"dog/003\.png cannot be read"):
            convert_dataset(folder_config(root), tmp_path / "data", loader)
        assert names(tmp_path / "data") == []


def test_failed_conversion_leaves_an_earlier_one_whole(
    make_folder: MakeFolder, ffcv: None, tmp_path: Path
) -> None:
    root = make_folder(cat=10, dog=8)
    manifest = convert_dataset(folder_config(root), tmp_path / "data", loader="ffcv")
    (root / "dog" / "003.png").write_bytes(b"broken")
    with pytest.raises(InputError):
        convert_dataset(folder_config(root), tmp_path / "data", loader="ffcv")
    assert read_manifest(tmp_path / "data") == manifest
    check_betons(tmp_path / "data", manifest)


@pytest.mark.parametrize("loader", ["auto", "memory"])
def test_ffcv_files_are_written_of_small_data_too(
    make_folder: MakeFolder, ffcv: None, tmp_path: Path, loader: LoaderName
) -> None:
    manifest = convert_dataset(folder_config(make_folder(cat=10, dog=8)), tmp_path / "data", loader)
    assert names(tmp_path / "data") == sorted([*BETONS, "converted.json", "manifest.json"])
    check_betons(tmp_path / "data", manifest)


@pytest.mark.parametrize("loader", ["auto", "memory"])
def test_without_ffcv_data_are_converted_without_its_files(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: LoaderName
) -> None:
    monkeypatch.setattr(conversion, "ffcv_failure", lambda: "No module named 'ffcv'")
    convert_dataset(folder_config(make_folder(cat=10, dog=8)), tmp_path / "data", loader)
    assert names(tmp_path / "data") == ["converted.json", "manifest.json"]


def test_converting_without_ffcv_removes_its_files(
    make_folder: MakeFolder, ffcv: None, tmp_path: Path
) -> None:
    config = folder_config(make_folder(cat=10, dog=8))
    convert_dataset(config, tmp_path / "data", loader="ffcv")
    convert_dataset(config, tmp_path / "data", loader="torch")
    assert names(tmp_path / "data") == ["converted.json", "manifest.json"]


class FullDisk:
    """A file that takes no more, or takes a part of what it is given, as an unbuffered file may do."""

    def __init__(self, file: BinaryIO, short: bool) -> None:
        self._file = file
        self._short = short

    def write(self, content: bytes) -> int:
        if not self._short:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(content[: len(content) // 2])

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize("short", [False, True])
def test_full_disk_is_an_error_and_leaves_nothing(
    make_folder: MakeFolder, ffcv: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    from ffcv.memory_allocator import MemoryAllocator

    open_file = MemoryAllocator.__enter__

    def open_on_full_disk(allocator: MemoryAllocator) -> None:
        open_file(allocator)
        allocator.fp = FullDisk(allocator.fp, short)

    monkeypatch.setattr(MemoryAllocator, "__enter__", open_on_full_disk)
    with pytest.raises(OSError, match="No space left on device") as caught:
        convert_dataset(folder_config(make_folder(cat=10, dog=8)), tmp_path / "data", loader="ffcv")
    assert caught.value.errno == errno.ENOSPC
    assert "train" in str(caught.value.filename)
    assert names(tmp_path / "data") == []


def test_killed_conversion_can_be_run_again(
    make_folder: MakeFolder, ffcv: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = folder_config(make_folder(cat=10, dog=8))
    data = tmp_path / "data"
    with monkeypatch.context() as slowly:
        read = FolderSource.__getitem__
        slowly.setattr(FolderSource, "__getitem__", lambda *args: time.sleep(0.2) or read(*args))
        process = multiprocessing.get_context("fork").Process(
            target=convert_dataset, args=(config, data, "ffcv")
        )
        process.start()
        while not any(name.startswith(".val") for name in names(data)) and process.is_alive():
            time.sleep(0.001)
        process.kill()
        process.join()
    assert [name.split(".")[1] for name in names(data)] == ["train", "val"]  # hidden, temporary names
    with pytest.raises(InputError, match=r"manifest\.json is missing"):
        read_manifest(data)

    manifest = convert_dataset(config, data, loader="ffcv")
    assert manifest == convert_dataset(config, tmp_path / "untouched", loader="ffcv")
    assert names(data) == sorted([*BETONS, "converted.json", "manifest.json"])
    check_betons(data, manifest)


def test_stopped_before_the_manifest_is_not_whole(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder(cat=10, dog=8)
    convert_dataset(folder_config(root), tmp_path / "data", loader="torch")

    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(conversion, "write_manifest", stop)
    with pytest.raises(KeyboardInterrupt):
        convert_dataset(folder_config(root, n_channels=1), tmp_path / "data", loader="torch")
    with pytest.raises(InputError, match=r"manifest\.json is missing"):
        read_manifest(tmp_path / "data")


def test_a_long_conversion_says_how_far_it_is(
    make_folder: MakeFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = folder_config(make_folder(cat=10, dog=8))
    convert_dataset(config, tmp_path / "data", "torch")
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(text, "QUIET_S", 0.0)
    convert_dataset(config, tmp_path / "data", "torch")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("train:   8% of 12 images, ") and lines[-1].startswith(
        "test:  75% of 4 images, "
    )


def test_output_that_is_a_file_is_refused(make_folder: MakeFolder, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(InputError, match="is a file; give a folder"):
        convert_dataset(folder_config(make_folder(cat=4, dog=4)), tmp_path / "data", loader="torch")
