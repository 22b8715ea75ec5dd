"""Images per second of the loaders, against a plain torch DataLoader over PNG files, in one run.

    python benchmarks/data.py                              32 and 224 px
    python benchmarks/data.py --pixels 32 --images 8000

All of them decode or copy, augment (at 32 px: shift by 4 px, flip, cutout of 8 px; at 224 px: random area and aspect, flip)
and normalise the same made-up images, and give batches on the device. The loaders take turns, a pass each, and the median
over rounds is shown, without the first pass, in which FFCV compiles and the memory loader reads. In the same run the
network is trained on the same batches, so that one sees which of the two bounds a training.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.engine import processor  # noqa: E402
from dynvision.config.data import DataConfig  # noqa: E402
from dynvision.data.conversion import convert_dataset  # noqa: E402
from dynvision.data.datamodule import DataModule  # noqa: E402
from dynvision.data.images import fit_image, read_image  # noqa: E402
from dynvision.data.loader import Reading  # noqa: E402
from dynvision.data.storage import ffcv_failure  # noqa: E402
from dynvision.data.transform import Transform  # noqa: E402
from dynvision.models import create  # noqa: E402

N_CLASSES = 10
AUGMENTATION: dict[bool, list[Any]] = {
    True: [{"translate": 4}, "flip", {"cutout": 8}],
    False: [{"resized_crop": [0.08, 1.0]}, "flip"],
}
Passes = dict[str, Callable[[], Iterable[tuple[Tensor, Tensor]]]]


def main() -> None:
    """Measure what the arguments ask for and print a Markdown table for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pixels", nargs="+", type=int, default=[32, 224], help="height and width in px")
    parser.add_argument("--images", type=int, default=0, help="images; 0 takes 6,000 at 32 px, 600 at 224 px")
    parser.add_argument(
        "--batch", type=int, default=0, help="images per batch; 0 takes 256 at 32 px, 32 at 224 px"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="threads of the torch loader, and processes of the DataLoader",
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--model", default="DyRCNNx4", help="network to compare with; none for no network")
    arguments = parser.parse_args()
    print(f"{processor(arguments.device)}; torch {torch.__version__}; {torch.get_num_threads()} CPU threads")
    for pixels in arguments.pixels:
        with tempfile.TemporaryDirectory() as folder:
            measure(pixels, Path(folder), arguments)


def measure(pixels: int, folder: Path, arguments: argparse.Namespace) -> None:
    """One table."""
    small = pixels < 100
    n_images = arguments.images or (6000 if small else 600)
    batch_size = arguments.batch or (256 if small else 32)
    device = torch.device(arguments.device)
    write_images(folder / "images", n_images, pixels)
    config = DataConfig(
        name=f"folder:{folder / 'images'}",
        resolution=pixels,
        max_resolution=pixels if small else round(pixels * 256 / 224),
        test_fraction=0.02,
        validation_fraction=0.02,
        split_seed=0,
        train_transform=AUGMENTATION[small],
    )
    reading = Reading(batch_size, 0, device, config=config)
    passes: Passes = {}
    unavailable = {}
    for name, write_mode in (("ffcv, raw", "raw"), ("ffcv, jpg", "jpg"), ("torch", "raw"), ("memory", "raw")):
        loader: Any = name.partition(",")[0]
        if loader == "ffcv" and ffcv_failure() is not None:
            unavailable[name] = "FFCV cannot be imported here"
            continue
        stored = config.model_copy(update={"write_mode": write_mode})
        converted = folder / name.replace(", ", "-")
        convert_dataset(stored, converted, loader)
        data = DataModule(converted, stored, batch_size, loader, arguments.workers)
        passes[name] = data._make_loader("train", reading).__iter__
        n_train = data.manifest.train.n_images
        transform = Transform(config.train_transform, pixels, data.manifest.mean, data.manifest.sd)
    plain = DataLoader(
        PngFiles(folder / "images", config, transform, n_train),
        batch_size,
        shuffle=True,
        num_workers=arguments.workers,
    )
    passes["DataLoader over PNG files"] = lambda: ((x.to(device), y.to(device)) for x, y in plain)
    rates = {name: [] for name in passes}
    for round_ in range(arguments.repeats + 1):
        for name, one_pass in passes.items():
            start = time.perf_counter()
            n = sum(len(labels) for _, labels in one_pass())
            synchronize(device)
            if round_:
                rates[name].append(n / (time.perf_counter() - start))
    print(
        f"\n{pixels} px, {n_train:,} images, batches of {batch_size}, {arguments.workers} threads or processes\n"
    )
    if arguments.model != "none":
        batches = [batch for batch, _ in zip(passes["memory"](), range(3), strict=False)]
        rates[f"{arguments.model}, forward + backward"] = training_rates(
            arguments.model, batches, device, arguments.repeats
        )
    reference = statistics.median(rates["DataLoader over PNG files"])
    print("| | images/s | lowest to highest | x DataLoader |\n|---|---|---|---|")
    for name, measured in rates.items():
        median = statistics.median(measured)
        lowest, highest = rounded(min(measured)), rounded(max(measured))
        print(f"| {name} | {rounded(median)} | {lowest} to {highest} | {rounded(median / reference)} |")
    for name, reason in unavailable.items():
        print(f"| {name} | not measured: {reason} | | |")
    sys.stdout.flush()


class PngFiles(Dataset[tuple[Tensor, int]]):
    """What one writes without a toolbox: decode, augment and normalise one image at a time."""

    def __init__(self, folder: Path, config: DataConfig, transform: Transform, n_images: int) -> None:
        self._files = sorted(folder.rglob("*.png"))[:n_images]
        self._config = config
        self._transform = transform

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = self._files[index]
        pixels = fit_image(read_image(path, self._config.n_channels), self._config.stored_size)
        draw = int(torch.randint(2**62, ()))
        image = self._transform(torch.from_numpy(pixels[None]), np.array([index]), draw)[0]
        return image, int(path.parent.name)


def write_images(folder: Path, n_images: int, pixels: int) -> None:
    """Class folders of PNG files: noise with the larger structures of photographs."""
    generator = np.random.default_rng(0)
    for number in range(n_images):
        path = folder / str(number % N_CLASSES) / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = pixels if pixels < 100 else round(pixels * 256 / 224)
        coarse = Image.fromarray(generator.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8))
        large = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)).astype(np.int16)
        fine = large + generator.integers(-6, 7, large.shape)
        Image.fromarray(fine.clip(0, 255).astype(np.uint8)).save(path)


def training_rates(
    name: str, batches: list[tuple[Tensor, Tensor]], device: torch.device, repeats: int
) -> list[float]:
    """Images per second of forward and backward of a network with its defaults."""
    n = len(batches[0][1]) if device.type != "cpu" else 16 if batches[0][0].shape[2] < 100 else 2
    images = [x[:n] for x, _ in batches]
    torch.manual_seed(0)
    model = create(name, input_dims=(20, *images[0].shape[1:]), n_classes=N_CLASSES).to(device)
    rates = []
    for round_ in range(min(repeats, 3) + 1):
        start = time.perf_counter()
        model.zero_grad(set_to_none=True)
        model(images[round_ % len(images)]).float().sum().backward()
        synchronize(device)
        if round_:
            rates.append(n / (time.perf_counter() - start))
    return rates


def rounded(number: float) -> str:
    """Three digits, or all of a large whole number."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
