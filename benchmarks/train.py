"""What bounds a training: images per second of the loader alone, of the engine alone, and of both as a training has them.

    python benchmarks/train.py
    python benchmarks/train.py --models DyRCNNx4 DyRCNNx8 --batch 256 --precision bf16-mixed --batches 5 --epochs 20

The data are the bundled digits, converted to a temporary folder. Each column is the median over rounds, in which all
columns are measured one after the other:

    loader      batches are read, augmented and normalised, nothing is computed
    engine      forward, loss and backward of one batch that lies ready
    update      the same, with clipped gradients and a step of the optimiser
    training    epochs of Lightning with the whole of it, validation aside
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.engine import processor  # noqa: E402
from dynvision.base.optimization import Epoch  # noqa: E402
from dynvision.config.run import RunConfig  # noqa: E402
from dynvision.config.section import validate  # noqa: E402
from dynvision.data import DataModule  # noqa: E402
from dynvision.data.conversion import convert_dataset  # noqa: E402
from dynvision.models.build import build_model  # noqa: E402
from dynvision.training.trainer import quiet_lightning  # noqa: E402


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["DyRCNNx4"])
    parser.add_argument("--pixels", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16, help="images")
    parser.add_argument("--precision", nargs="+", default=["32"], choices=["32", "bf16-mixed", "16-mixed"])
    parser.add_argument("--loader", default="auto", choices=["auto", "memory", "torch", "ffcv"])
    parser.add_argument("--batches", type=int, default=8, help="batches of an epoch")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of a measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    quiet_lightning()
    print(
        f"{processor(arguments.device)}; torch {torch.__version__}; {torch.get_num_threads()} CPU threads\n"
    )
    header = [
        "model",
        "px",
        "batch",
        "precision",
        "reads with",
        "loader",
        "engine",
        "update",
        "training",
        "of engine",
    ]
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            for precision in arguments.precision:
                row = measure(model, precision, Path(folder) / "data", arguments)
                print("| " + " | ".join(row) + " |", flush=True)


def measure(name: str, precision: str, folder: Path, arguments: argparse.Namespace) -> list[str]:
    """One row of the table."""
    values = {
        "model": {"name": name},
        "data": {"resolution": arguments.pixels},
        "training": {
            "batch_size": arguments.batch,
            "precision": precision,
            "epochs": arguments.epochs,
            "limit_batches": arguments.batches,
        },
    }
    run = validate(RunConfig, values, "")
    if not folder.exists():
        convert_dataset(run.data.images, folder)
    made = Training(run, folder, arguments)
    columns: dict[str, Callable[[], float]] = {
        "loader": made.loader,
        "engine": made.engine,
        "update": made.update,
        "training": made.training,
    }
    rates: dict[str, list[float]] = {column: [] for column in columns}
    for number in range(arguments.rounds + 1):  # the first one warms up
        for column, measured in columns.items():
            rate = measured()
            if number:
                rates[column].append(rate)
    medians = {column: statistics.median(found) for column, found in rates.items()}
    return [
        name,
        str(arguments.pixels),
        str(arguments.batch),
        precision,
        made.data.loader,
        *(f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}" for rate in medians.values()),
        f"{100 * medians['training'] / medians['engine']:.0f} %",
    ]


class Training:
    """The parts of a training, each of which states its images per second."""

    def __init__(self, run: RunConfig, folder: Path, arguments: argparse.Namespace) -> None:
        self.run, self.device, self.arguments = run, torch.device(arguments.device), arguments
        torch.manual_seed(run.seed)
        self.data = DataModule(
            folder, run.data, arguments.batch, arguments.loader, num_workers=1, seed=run.seed
        )
        self.model = build_model(run, self.data.input_shape, self.data.n_classes).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4)
        self.batch = [part.to(self.device) for part in next(iter(self.data.train_dataloader()))]
        self.n_images = arguments.batches * arguments.batch

    def loader(self) -> float:
        """Read batches and bring them to the device."""
        begun, n_images = time.perf_counter(), 0
        while n_images < self.n_images * self.arguments.epochs:
            for images, labels in self.data.train_dataloader():
                images.to(self.device), labels.to(self.device)
                n_images += len(images)
        return n_images / self._since(begun)

    def engine(self) -> float:
        """Forward and backward."""
        return self._repeat(self._backward)

    def update(self) -> float:
        """Forward, backward and a step of the optimiser."""

        def step() -> None:
            self._backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()

        return self._repeat(step)

    def training(self) -> float:
        """Epochs of a training, from the first batch to the last."""
        watch = Stopwatch()
        trainer = pl.Trainer(
            max_epochs=self.arguments.epochs + 1,
            accelerator="gpu" if self.device.type == "cuda" else "cpu",
            devices=1,
            precision=self.run.training.precision,  # type: ignore[arg-type]
            gradient_clip_val=1.0,
            limit_train_batches=self.arguments.batches,
            limit_val_batches=0,
            callbacks=[watch],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        data = DataModule(
            self.data.folder,
            self.run.data,
            self.arguments.batch,
            self.arguments.loader,
            num_workers=1,
            seed=1,
        )
        model = build_model(self.run, data.input_shape, data.n_classes)
        model.epoch = Epoch(data.manifest.split("train").n_images, self.arguments.batch)
        trainer.fit(model, datamodule=data)
        return watch.n_images / watch.seconds

    def _backward(self) -> None:
        self.model.zero_grad(set_to_none=True)
        dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(self.run.training.precision)
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            outputs = self.model.respond((self.batch[0], self.batch[1]), shuffle=False)
            loss = self.model.loss(outputs)
        loss.backward()

    def _repeat(self, function: Callable[[], None]) -> float:
        times = self.arguments.batches * self.arguments.epochs
        begun = time.perf_counter()
        for _ in range(times):
            function()
        return times * len(self.batch[0]) / self._since(begun)

    def _since(self, begun: float) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begun


class Stopwatch(pl.Callback):
    """Measures all epochs but the first, in which FFCV compiles and libraries choose their algorithms."""

    def __init__(self) -> None:
        self.seconds, self.n_images, self._begun = 0.0, 0, 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begun = self._now()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):  # type: ignore[no-untyped-def]
        self.n_images += len(batch[0]) if trainer.current_epoch else 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds += (self._now() - self._begun) if trainer.current_epoch else 0.0

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


if __name__ == "__main__":
    main()
