"""``dynvision convert``: write the data folder that runs with the same data settings share."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.cli.arguments import add_frozen_run_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "The section data of the run's configuration states what is written: name (digits, or folder:PATH for a folder "
        "of class folders), resolution (height and width in px), n_channels (1 grey, 3 colour), test_fraction, "
        "validation_fraction and split_seed. Written are train.beton, val.beton and test.beton (pixels, 0..255; where "
        "FFCV is installed) and, last, manifest.json (class names, splits, checksums, mean and sd of the training pixels "
        "in 0..1)."
    )
    add_frozen_run_arguments(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="folder to write; made if absent"
    )
    parser.add_argument(
        "--loader",
        choices=("auto", "ffcv", "torch", "memory"),
        default="auto",
        help="the loader that is going to read: where FFCV is installed, .beton files are written for all but torch, which "
        "reads the source alone; ffcv makes it an error that FFCV is not installed (default: auto)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Convert, and state what was written."""
    from dynvision.config.run import read_run_config
    from dynvision.data.conversion import convert_dataset

    config = read_run_config(arguments.config).data.images
    manifest = convert_dataset(config, arguments.output, arguments.loader)
    counts = ", ".join(f"{count:,} {split}" for split, count in manifest.counts.items())
    print(
        f"{manifest.source}: {counts} images of {manifest.n_classes} classes, "
        f"{config.resolution} x {config.resolution} px, {config.n_channels} channel(s) -> {arguments.output}"
    )
