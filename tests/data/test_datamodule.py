"""The DataModule: checks before training, the choice of the loader, and epochs under Lightning."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from dynvision.config.data import DataConfig
from dynvision.data import datamodule, storage
from dynvision.data.conversion import convert_dataset
from dynvision.data.datamodule import DataModule
from dynvision.data.manifest import read_manifest
from dynvision.data.splits import training_order
from dynvision.errors import InputError
from tests.data.conftest import MakeFolder

pytestmark = pytest.mark.filterwarnings("ignore:The dirpath has changed", "ignore:Checkpoint directory")

Shown = list[tuple[int, int, list[int]]]


class Recorder(pl.LightningModule):
    """Learns one number, and records epoch, batch and what was in it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.shown: Shown = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        sums = (images.double().sum(dim=(1, 2, 3)) * 1000).round().long()
        self.shown.append((self.current_epoch, batch_idx, (sums * 10 + labels).tolist()))
        return (self.weight - labels.float().mean()) ** 2

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(data: DataModule, root: Path, resume: Path | None = None, **settings: object) -> Recorder:
    """Train on a CPU and keep a checkpoint after every second batch and every epoch."""
    model = Recorder()
    checkpoints = [
        pl.callbacks.ModelCheckpoint(root, "step-{step}", every_n_train_steps=2, save_top_k=-1),
        pl.callbacks.ModelCheckpoint(root, "epoch-{epoch}", save_on_train_epoch_end=True, save_top_k=-1),
    ]
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, **settings}
    trainer = pl.Trainer(accelerator="cpu", default_root_dir=root, callbacks=checkpoints, **options)
    trainer.fit(model, datamodule=data, ckpt_path=resume)
    return model


@pytest.fixture(scope="module")
def uninterrupted(digits_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Shown]:
    """Checkpoints and record of four epochs of seven batches."""
    root = tmp_path_factory.mktemp("uninterrupted")
    data = DataModule(digits_data, batch_size=200, loader="torch", seed=5)
    return root, train(data, root, max_epochs=4).shown


def test_each_epoch_shows_its_permutation(uninterrupted: tuple[Path, Shown], digits_data: Path) -> None:
    _, shown = uninterrupted
    assert [(epoch, batch) for epoch, batch, _ in shown] == [(e, b) for e in range(4) for b in range(7)]
    labels = np.array(read_manifest(digits_data).train.labels)
    for epoch in range(4):
        expected = labels[training_order(len(labels), 5, epoch)].tolist()
        assert [code % 10 for e, _, codes in shown if e == epoch for code in codes] == expected
    epochs = [sorted(code for e, _, codes in shown if e == epoch for code in codes) for epoch in range(4)]
    assert epochs[0] == epochs[1] == epochs[2] == epochs[3]  # every image once in each


@pytest.mark.parametrize("checkpoint", ["step-step=4", "step-step=10", "step-step=14", "epoch-epoch=1"])
def test_resumed_training_shows_what_is_left(
    uninterrupted: tuple[Path, Shown], digits_data: Path, tmp_path: Path, checkpoint: str
) -> None:
    root, shown = uninterrupted
    n_steps = (
        int(checkpoint.split("=")[1]) if checkpoint.startswith("step") else 7 * (int(checkpoint[-1]) + 1)
    )
    data = DataModule(digits_data, batch_size=200, loader="torch", seed=5)
    resumed = train(data, tmp_path, root / f"{checkpoint}.ckpt", max_epochs=4)
    assert resumed.shown == shown[n_steps:]


def test_training_on_after_its_end(
    uninterrupted: tuple[Path, Shown], digits_data: Path, tmp_path: Path
) -> None:
    root, _ = uninterrupted
    data = DataModule(digits_data, batch_size=200, loader="torch", seed=5)
    longer = train(data, tmp_path / "longer", max_epochs=6).shown
    resumed = train(data, tmp_path, root / "epoch-epoch=3.ckpt", max_epochs=6)
    assert resumed.shown == longer[28:]


def test_lightning_with_ffcv_shows_the_same(
    uninterrupted: tuple[Path, Shown], digits_beton: Path, tmp_path: Path
) -> None:
    root, shown = uninterrupted
    data = DataModule(digits_beton, batch_size=200, loader="ffcv", seed=5)
    assert train(data, tmp_path / "a", max_epochs=2).shown == shown[:14]
    limited = train(data, tmp_path / "b", max_epochs=3, limit_train_batches=2).shown
    assert limited == [entry for entry in shown if entry[0] < 3 and entry[1] < 2]
    resumed = train(data, tmp_path / "c", root / "step-step=10.ckpt", max_epochs=2)
    assert resumed.shown == shown[10:14]


def test_data_module_describes_its_data(digits_data: Path) -> None:
    data = DataModule(digits_data, loader="torch")
    assert (data.n_classes, data.input_shape, data.loader) == (10, (1, 16, 16), "torch")
    assert str(data) == "digits (1,293 train, 145 val, 359 test images of 10 classes), read with torch"
    assert data.train_dataloader() is data.train_dataloader()


def test_other_data_are_refused(digits_data: Path, digits_config: DataConfig) -> None:
    with pytest.raises(InputError, match="resolution is 16 and not 32"):
        DataModule(digits_data, digits_config.model_copy(update={"resolution": 32}))
    with pytest.raises(InputError, match="batch_size=0"):
        DataModule(digits_data, digits_config, batch_size=0)


def test_damage_is_found_before_training(digits_beton: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(digits_beton, tmp_path / "data"))
    (data / "test.beton").write_bytes(b"")
    with pytest.raises(InputError, match=r"test\.beton is truncated: it has 0 of"):
        DataModule(data, loader="ffcv")
    DataModule(data, loader="torch")  # which does not read it


def test_changed_source_is_found_before_training(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(cat=5, dog=5)
    convert_dataset(DataConfig(name=f"folder:{root}", split_seed=0), tmp_path / "data", loader="torch")
    (root / "cat" / "000.png").unlink()
    with pytest.raises(InputError, match="have changed since conversion; delete the folder"):
        DataModule(tmp_path / "data", loader="torch")


@pytest.fixture
def without_ffcv(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where FFCV is not installed."""
    for module in (storage, datamodule):
        monkeypatch.setattr(module, "ffcv_failure", lambda: "No module named 'ffcv'")


@pytest.fixture
def large_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the digits did not fit in memory."""
    monkeypatch.setattr(datamodule, "MEMORY_BYTES", 0)


def test_auto_keeps_small_data_in_memory(digits_data: Path, without_ffcv: None) -> None:
    assert DataModule(digits_data).loader == "memory"


def test_without_ffcv_auto_takes_torch_and_warns(
    digits_beton: Path, large_data: None, without_ffcv: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert DataModule(digits_beton, loader="auto").loader == "torch"
    because = "FFCV cannot be imported here (No module named 'ffcv')"
    expected = f"{digits_beton} is read with the torch loader, since {because}"
    assert [record.message for record in caplog.records] == [expected]


def test_without_ffcv_asking_for_it_is_an_error(digits_data: Path, without_ffcv: None) -> None:
    message = "execution.loader=ffcv, but FFCV cannot be imported here .*; run make install, or set"
    with pytest.raises(InputError, match=message):
        DataModule(digits_data, loader="ffcv")


def test_without_ffcv_its_files_cannot_be_written(
    make_folder: MakeFolder, tmp_path: Path, without_ffcv: None
) -> None:
    config = DataConfig(name=f"folder:{make_folder(cat=4, dog=4)}", split_seed=0)
    with pytest.raises(InputError, match="FFCV cannot be imported here"):
        convert_dataset(config, tmp_path / "data", loader="ffcv")


def test_auto_takes_ffcv_where_it_is_installed_and_written(
    ffcv: None, large_data: None, digits_beton: Path, digits_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert DataModule(digits_beton).loader == "ffcv"
    with caplog.at_level(logging.WARNING, logger=datamodule.__name__):
        assert DataModule(digits_data).loader == "torch"
    assert "it was converted without FFCV" in caplog.text
    with pytest.raises(InputError, match="was not written, because the data was converted without FFCV"):
        DataModule(digits_data, loader="ffcv")
