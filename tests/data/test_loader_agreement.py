"""FFCV, torch and memory show the same: image by image, bit by bit, whatever the settings."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from dynvision.config.data import DataConfig
from dynvision.data.conversion import convert_dataset
from dynvision.data.datamodule import DataModule
from dynvision.data.downloads import DATA_VARIABLE
from dynvision.data.loader import ImageLoader, MemoryLoader, Reading
from dynvision.data.sources import open_source
from dynvision.data.sources.class_folders import FolderSource
from dynvision.data.splits import SPLITS
from dynvision.errors import InputError
from tests.data.conftest import MakeFolder
from tests.data.true_formats import write_cifar

LOADERS = ("ffcv", "torch", "memory")
EVERYTHING = [
    {"rotation": 20},
    {"resized_crop": [0.5, 1]},
    {"translate": 1},
    "flip",
    {"cutout": 3},
    "colour_jitter",
]
Convert = Callable[..., tuple[Path, DataConfig]]


@pytest.fixture
def convert(ffcv: None, make_folder: MakeFolder, tmp_path: Path) -> Convert:
    """Converts a folder of 26 images: ``convert(order="SEQUENTIAL")``."""

    def make(**settings: Any) -> tuple[Path, DataConfig]:
        root = make_folder(size=(23, 20), cat=14, dog=12)
        config = DataConfig(name=f"folder:{root}", **{"resolution": 12, "split_seed": 1, **settings})
        convert_dataset(config, tmp_path / "data", "ffcv")
        return tmp_path / "data", config

    return make


def collect(loader: ImageLoader) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


def passes(folder: Path, config: DataConfig, loader: str) -> list[torch.Tensor]:
    """Indices, images and labels of two epochs of training and one of the other splits."""
    data = DataModule(folder, config, batch_size=5, loader=loader, num_workers=0, seed=3)  # type: ignore[arg-type]
    found: list[torch.Tensor] = []
    loaders = [
        data.train_dataloader(),
        data.train_dataloader(),
        data.val_dataloader(),
        data.test_dataloader(),
    ]
    for split in loaders:
        found += [torch.from_numpy(split.image_indices), *collect(split)]
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {"n_channels": 1, "train_transform": EVERYTHING, "normalization": "mnist"},
        {
            "write_mode": "jpg",
            "jpeg_quality": 60,
            "max_resolution": 16,
            "train_transform": EVERYTHING,
            "test_transform": ["invert"],
            "order": "QUASI_RANDOM",
            "page_size": 2**22,
        },
        {
            "write_mode": "proportion",
            "group": [0, "dog"],
            "train_transform": ["flip"],
            "normalization": "cifar10",
            "order": "SEQUENTIAL",
        },
    ],
    ids=["raw", "jpg", "proportion"],
)
def test_all_loaders_show_the_same_bits(convert: Convert, settings: dict[str, Any]) -> None:
    folder, config = convert(**settings)
    first, *others = (passes(folder, config, loader) for loader in LOADERS)
    assert first[1].shape == (19, config.n_channels, 12, 12)
    for other in others:
        assert len(other) == 12
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_cifar_is_shown_as_it_is(ffcv: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    parts = write_cifar(tmp_path / "cifar10", "cifar10")
    pixels, labels = parts["test_batch.bin"]
    config = DataConfig(name="cifar10", split_seed=0, normalization="cifar10")
    convert_dataset(config, tmp_path / "out", "ffcv")
    for loader in LOADERS:
        test = DataModule(tmp_path / "out", config, loader=loader).test_dataloader()  # type: ignore[arg-type]
        images, shown = collect(test)
        places = test.image_indices - 50
        assert shown.tolist() == labels[places].tolist()
        mean, sd = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2470, 0.2435, 0.2616])
        expected = ((pixels[places] / 255 - mean) / sd).transpose(0, 3, 1, 2)
        assert np.abs(images.numpy() - expected).max() < 1e-5


def test_compression_loses_little_and_something(convert: Convert) -> None:
    folder, config = convert(write_mode="proportion", compress_probability=0.5, train_transform="none")
    images, _ = collect(DataModule(folder, config, loader="ffcv").train_dataloader())
    loader = DataModule(folder, config, loader="torch").train_dataloader()
    source = open_source(config)
    sd = torch.tensor(loader.manifest.sd)[:, None, None]
    mean = torch.tensor(loader.manifest.mean)[:, None, None]
    n_changed = 0
    for image, index in zip(images, loader.image_indices, strict=True):
        pixels = (image * sd + mean) * 255
        difference = (pixels - torch.from_numpy(source[index][0]).permute(2, 0, 1)).abs()
        n_changed += int(difference.max() > 0.5)
        assert difference.mean() < 40  # noise is the worst that there is for JPEG
    assert 3 < n_changed < 16  # of 19


def test_validation_and_test_are_never_augmented(convert: Convert) -> None:
    folder, config = convert(train_transform=EVERYTHING)
    plain = config.model_copy(update={"train_transform": ()})
    for loader in ("torch", "memory"):
        augmented, untouched = (
            DataModule(folder, c, batch_size=7, loader=loader)  # type: ignore[arg-type]
            for c in (config, plain)
        )
        for split in SPLITS:
            first, second, reference = (
                collect(getattr(data, f"{split}_dataloader")())[0]
                for data in (augmented, augmented, untouched)
            )
            assert torch.equal(first, second) == (split != "train")
            assert torch.equal(first, reference) == (split != "train")


@pytest.mark.parametrize("loader", LOADERS)
def test_processes_together_show_what_one_does(convert: Convert, loader: str) -> None:
    folder, config = convert(train_transform=EVERYTHING)
    data = DataModule(folder, config, batch_size=4, loader=loader, num_workers=0)  # type: ignore[arg-type]

    def of_rank(rank: int, n_ranks: int, batch_size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        reading = Reading(batch_size, 3, rank=rank, n_ranks=n_ranks, config=config)
        return list(data._make_loader("train", reading))

    one = of_rank(0, 1, 6)
    shares = [of_rank(rank, 2, 3) for rank in range(2)]
    assert [len(labels) for _, labels in shares[0]] == [3, 3, 3, 1]  # the last one is of 19 images
    for whole, *parts in zip(one, *shares, strict=True):
        n = len(whole[1])
        assert torch.equal(whole[0], torch.cat([images for images, _ in parts])[:n])
        assert torch.equal(whole[1], torch.cat([labels for _, labels in parts])[:n])


@pytest.mark.parametrize("loader", LOADERS)
def test_leaving_early_leaks_neither_threads_nor_processes_nor_memory(convert: Convert, loader: str) -> None:
    folder, config = convert(train_transform=["flip"])
    data = DataModule(folder, config, batch_size=2, loader=loader, num_workers=0)  # type: ignore[arg-type]
    train = data.train_dataloader()
    process = psutil.Process()

    def leave_early(n: int) -> None:
        for _ in range(n):
            for number, _ in enumerate(train):
                if number == 1:
                    break
            iter(train)  # made, and never used
            next(iter(train))

    leave_early(10)
    gc.collect()
    threads, children, memory = threading.active_count(), len(process.children()), process.memory_info().rss
    leave_early(60)
    gc.collect()
    assert threading.active_count() == threads
    assert process.num_threads() <= threads + 64  # numba's and torch's own, made once
    assert len(process.children()) == children
    assert process.memory_info().rss - memory < 20 * 2**20


def test_workers_end_with_the_pass(convert: Convert) -> None:
    folder, config = convert()
    train = DataModule(folder, config, batch_size=2, loader="torch", num_workers=2).train_dataloader()
    before = psutil.Process().children()
    for _ in range(2):
        for _ in train:
            break
    assert psutil.Process().children() == before


def test_ffcv_compiles_once(convert: Convert, monkeypatch: pytest.MonkeyPatch) -> None:
    from ffcv.loader import Loader

    n_compiled = []
    generate = Loader.generate_code
    monkeypatch.setattr(Loader, "generate_code", lambda loader: n_compiled.append(1) or generate(loader))
    folder, config = convert()
    data = DataModule(folder, config, batch_size=4, loader="ffcv")
    for _ in range(4):
        collect(data.train_dataloader())
    assert len(n_compiled) == 1


def test_memory_is_read_once(convert: Convert, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, config = convert(train_transform=["flip"])
    n_read = []
    read = MemoryLoader._read_all
    monkeypatch.setattr(MemoryLoader, "_read_all", lambda loader: n_read.append(1) or read(loader))
    train = DataModule(folder, config, loader="memory").train_dataloader()
    for _ in range(3):
        collect(train)
    assert len(n_read) == 1


@pytest.mark.parametrize(
    "settings", [{}, {"write_mode": "proportion", "jpeg_quality": 30}, {"n_channels": 1}]
)
def test_memory_reads_ffcv_files_and_shows_the_bits_of_the_source(
    convert: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    folder, config = convert(**settings)
    convert_dataset(config, tmp_path / "plain", "torch")
    of_source = passes(tmp_path / "plain", config, "memory")

    def opened(*args: object) -> None:
        raise AssertionError("the source is opened")

    monkeypatch.setattr(FolderSource, "__init__", opened)
    of_files = passes(folder, config, "memory")
    assert all(torch.equal(*pair) for pair in zip(of_source, of_files, strict=True))


def test_memory_names_a_damaged_ffcv_file(convert: Convert) -> None:
    folder, config = convert()
    content = bytearray((folder / "test.beton").read_bytes())
    content[-100] ^= 1
    (folder / "test.beton").write_bytes(content)
    with pytest.raises(InputError, match=r"test\.beton has changed since it was written; delete the folder"):
        DataModule(folder, config, loader="memory")
