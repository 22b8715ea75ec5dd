"""The loaders: the same images, order and labels; nothing left out; nothing left running."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dynvision.config.data import DataConfig
from dynvision.data.conversion import convert_dataset
from dynvision.data.datamodule import DataModule
from dynvision.data.loader import ImageLoader
from dynvision.data.sources import open_source
from dynvision.data.splits import SPLITS, SplitName, training_order
from dynvision.errors import InputError
from tests.data.conftest import MakeFolder

BATCH_SIZE = 40
SEED = 11
Get = Callable[[SplitName], ImageLoader]


@pytest.fixture(scope="module")
def torch_data(digits_data: Path) -> DataModule:
    return DataModule(digits_data, batch_size=BATCH_SIZE, loader="torch", seed=SEED)


@pytest.fixture(scope="module")
def ffcv_data(digits_beton: Path) -> DataModule:
    return DataModule(digits_beton, batch_size=BATCH_SIZE, loader="ffcv", seed=SEED)


@pytest.fixture(scope="module")
def memory_data(digits_data: Path) -> DataModule:
    return DataModule(digits_data, batch_size=BATCH_SIZE, loader="memory", seed=SEED)


@pytest.fixture(params=["torch", "memory", "ffcv"])
def data(request: pytest.FixtureRequest) -> DataModule:
    """The digits behind each loader."""
    module: DataModule = request.getfixturevalue(f"{request.param}_data")
    module.train_dataloader().set_epoch(0)
    return module


def loader_of(data: DataModule, split: SplitName) -> ImageLoader:
    return {"train": data.train_dataloader, "val": data.val_dataloader, "test": data.test_dataloader}[split]()


def collect(loader: ImageLoader) -> tuple[torch.Tensor, torch.Tensor]:
    """All images and labels of one pass; batches are kept until its end."""
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


@pytest.mark.parametrize("split", SPLITS)
def test_batches_are_the_normalised_images_of_the_source(
    data: DataModule, split: SplitName, digits_config: DataConfig
) -> None:
    loader, source = loader_of(data, split), open_source(digits_config)
    indices = loader.image_indices
    assert sorted(indices) == list(data.manifest.split(split).indices)
    images, labels = collect(loader)
    pixels = np.stack([source[index][0] for index in indices]).transpose(0, 3, 1, 2) / 255
    expected = (pixels - data.manifest.mean[0]) / data.manifest.sd[0]
    assert np.abs(images.numpy() - expected).max() < 1e-5
    assert labels.tolist() == source.labels[indices].tolist()


def test_batches_have_the_promised_form(data: DataModule) -> None:
    for split in SPLITS:
        loader = loader_of(data, split)
        batches = list(loader)
        assert len(batches) == len(loader) == -(-loader.n_images // BATCH_SIZE)
        sizes = [len(labels) for _, labels in batches]
        assert sizes == [BATCH_SIZE] * (len(batches) - 1) + [
            loader.n_images - BATCH_SIZE * (len(batches) - 1)
        ]
        for images, labels in batches:
            assert images.shape == (len(labels), *data.input_shape)
            assert images.dtype == torch.float32
            assert images.is_contiguous()
            assert labels.dtype == torch.int64
            assert labels.shape == (len(labels),)


def test_training_order_is_a_function_of_seed_and_epoch(data: DataModule) -> None:
    loader = data.train_dataloader()
    indices = np.array(data.manifest.train.indices)
    passes = [collect(loader)[1] for _ in range(2)]
    for epoch, labels in enumerate(passes):
        loader.set_epoch(epoch)
        expected = indices[training_order(len(indices), SEED, epoch)]
        assert np.array_equal(loader.image_indices, expected)
        assert torch.equal(collect(loader)[1], labels)
    assert not torch.equal(passes[0], passes[1])


def test_any_prefix_of_the_test_images_is_balanced(data: DataModule) -> None:
    _, labels = collect(data.test_dataloader())
    for end in (7, 50, 200, 333):
        counts = np.bincount(labels[:end], minlength=10)
        assert counts.max() - counts.min() <= 1


def test_validation_is_sequential(data: DataModule) -> None:
    assert data.val_dataloader().image_indices.tolist() == sorted(data.manifest.val.indices)


def test_resumed_loader_leaves_out_what_was_shown(data: DataModule) -> None:
    loader = data.train_dataloader()
    loader.set_epoch(5)
    whole = list(loader)
    loader.set_epoch(5)
    for n_batches, _ in enumerate(loader, start=1):
        if n_batches == 3:
            state = loader.state_dict()
            break
    assert state == {"epoch": 5, "n_shown": 3}
    loader.load_state_dict(state)
    rest = list(loader)
    assert len(rest) == len(whole) - 3
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(rest, whole[3:], strict=True))
    assert len(list(loader)) == len(whole)  # the next epoch is whole again


def test_an_error_in_the_loop_leaves_no_threads(ffcv_data: DataModule) -> None:
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="in the loop"):
        for _ in ffcv_data.train_dataloader():
            raise RuntimeError("in the loop")
    assert set(threading.enumerate()) == before


def test_an_error_in_ffcv_reaches_the_caller(ffcv_data: DataModule, monkeypatch: pytest.MonkeyPatch) -> None:
    from ffcv.loader.epoch_iterator import EpochIterator

    def fail(*args: object) -> None:
        raise RuntimeError("inside FFCV")

    monkeypatch.setattr(EpochIterator, "run_pipeline", fail)
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="inside FFCV"):
        list(ffcv_data.train_dataloader())
    assert set(threading.enumerate()) == before


def test_ffcv_leaves_the_threads_of_torch_alone(digits_beton: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        collect(DataModule(digits_beton, batch_size=BATCH_SIZE, loader="ffcv").val_dataloader())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_python_exits_cleanly_with_passes_under_way(digits_beton: Path) -> None:
    program = f"""
import torch
n_threads = torch.get_num_threads()
from dynvision.data.storage import ffcv_failure
assert ffcv_failure() is None and torch.get_num_threads() == n_threads
from dynvision.data.ffcv_files import FFCVLoader
from dynvision.data.loader import Reading
from dynvision.data.manifest import read_manifest
folder = {str(digits_beton)!r}
loader = FFCVLoader(read_manifest(folder), folder, "val", Reading(batch_size=8))
passes = [iter(loader) for _ in range(3)]
for kept in passes:
    next(kept)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_image_that_disappears_during_training_is_one_sentence(
    make_folder: MakeFolder, tmp_path: Path, num_workers: int
) -> None:
    root = make_folder(cat=9, dog=9)
    config = DataConfig(name=f"folder:{root}", resolution=8, split_seed=1)
    convert_dataset(config, tmp_path / "data", loader="torch")
    loader = DataModule(tmp_path / "data", loader="torch", num_workers=num_workers).train_dataloader()
    for path in (root / "cat").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"^image .*\.png does not exist$"):
        list(loader)


def test_channel_that_never_changes_is_zero(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(12):
        path = tmp_path / "images" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), (20 * number, 50, 0), dtype=np.uint8)).save(path)
    config = DataConfig(name=f"folder:{tmp_path / 'images'}", resolution=8, split_seed=1)
    manifest = convert_dataset(config, tmp_path / "data", loader="torch")
    assert manifest.sd[1:] == (0.0, 0.0)
    images, _ = collect(DataModule(tmp_path / "data", loader="torch").train_dataloader())
    assert images[:, 0].std() > 0.5
    assert images[:, 1:].abs().max() < 1e-6
