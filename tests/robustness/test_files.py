"""300 damaged files of every kind that is read: read as they are, or one sentence that names them; none is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dynvision.analysis import read_experiment, write_table
from dynvision.analysis.tables import read_columns, read_training
from dynvision.config.data import ImagesConfig
from dynvision.config.experiment import ExperimentConfig, frozen_experiment
from dynvision.config.run import RunConfig, read_run_config
from dynvision.config.section import validate
from dynvision.config.yaml_text import to_yaml
from dynvision.data.conversion import convert_dataset
from dynvision.data.images import read_image
from dynvision.data.manifest import read_manifest
from dynvision.data.storage import check_betons
from dynvision.errors import InputError
from dynvision.models.weights import read_checkpoint, read_weights
from dynvision.runs.made_from import read_record
from dynvision.training.checkpoints import last_checkpoint
from tests.lab import write_digits
from tests.robustness.mutations import damaged

OF_EACH, FAST = 20, 8
IMAGES = ("png", "jpg", "bmp", "tif", "gif", "webp", "ppm")


def _image(folder: Path, suffix: str) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8)
    path = folder / f"image.{suffix}"
    Image.fromarray(pixels).save(path)
    return path


def _safetensors(folder: Path) -> Path:
    save_file(
        {"a.weight": torch.arange(600.0)}, folder / "model.safetensors", {"run_id": "r", "config": "a: 1"}
    )
    return folder / "model.safetensors"


def _checkpoint(folder: Path) -> Path:
    content = {
        "state_dict": {"a.weight": torch.arange(600.0)},
        "epoch": 1,
        "dynvision": {"run_id": "r", "images": "i"},
    }
    torch.save(content, folder / "last.ckpt")
    return folder / "last.ckpt"


def _published(folder: Path) -> Path:
    torch.save({"a.weight": torch.arange(600.0)}, folder / "net.pth")
    return folder / "net.pth"


def _run(folder: Path) -> Path:
    (folder / "config.yaml").write_text(to_yaml(RunConfig()))
    return folder / "config.yaml"


def _experiment(folder: Path) -> Path:
    (folder / "config.yaml").write_text(to_yaml(frozen_experiment("mine", ExperimentConfig())))
    return folder / "config.yaml"


def _table(folder: Path) -> Path:
    write_table(pd.DataFrame({"run_id": ["r"] * 50, "time_ms": np.arange(50.0)}), folder / "table.parquet")
    return folder / "table.parquet"


def _training(folder: Path) -> Path:
    names = ("epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate", "seconds")
    pd.DataFrame({name: np.arange(1.0, 9) for name in names}).to_csv(folder / "training.csv", index=False)
    return folder / "training.csv"


def _record(folder: Path) -> Path:
    (folder / "trained.json").write_text(json.dumps({"made_from": {"run": "r"}, "weights": "w"}))
    return folder / "trained.json"


# How a file is made, and how it is read.
KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    **{
        suffix: (lambda folder, suffix=suffix: _image(folder, suffix), lambda path: read_image(path, 1))
        for suffix in IMAGES
    },
    "safetensors": (_safetensors, read_weights),
    "last.ckpt": (_checkpoint, lambda path: last_checkpoint(path.parent, "r", "i")),
    "pth": (_published, read_checkpoint),
    "config.yaml of a run": (_run, read_run_config),
    "config.yaml of an experiment": (_experiment, read_experiment),
    "parquet": (_table, lambda path: read_columns(path, ("run_id", "time_ms"), "dynamics", "run it")),
    "training.csv": (_training, read_training),
    "record": (_record, read_record),
}


def read_damaged(path: Path, whole: bytes, read: Callable[[], Any], seed: int) -> str | None:
    """Damage a file, read it, and return what went wrong; the file is whole again afterwards."""
    broken = damaged(whole, seed)
    path.write_bytes(broken)
    try:
        read()
    except InputError as error:
        if "\n" in str(error) or path.name not in str(error):
            return f"{path.name}, seed {seed}: said {str(error)[:300]!r}"
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the fault that is looked for
        return f"{path.name}, seed {seed}: {type(error).__name__}: {str(error)[:200]}"
    if not path.is_file() or path.read_bytes() != broken:
        return f"{path.name}, seed {seed}: reading it has changed it"
    path.write_bytes(whole)
    return None


PARTS = [pytest.param(range(FAST)), pytest.param(range(FAST, OF_EACH), marks=pytest.mark.slow)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seeds", PARTS, ids=("few", "many"))
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_read_or_refused_in_one_sentence(kind: str, seeds: range, tmp_path: Path) -> None:
    make, read = KINDS[kind]
    path = make(tmp_path)
    whole = path.read_bytes()
    read(path)
    number = list(KINDS).index(kind)
    wrong = [read_damaged(path, whole, lambda: read(path), 1000 * number + seed) for seed in seeds]
    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImagesConfig]:
    folder = tmp_path_factory.mktemp("converted")
    images = write_digits(folder / "images")
    config = validate(ImagesConfig, {"name": f"folder:{images}", "resolution": 8, "split_seed": 1}, "data")
    convert_dataset(config, folder / "data", "memory")
    return folder / "data", config


@pytest.mark.parametrize("seeds", PARTS, ids=("few", "many"))
def test_a_converted_folder(seeds: range, converted: tuple[Path, ImagesConfig]) -> None:
    """Its manifest, and its FFCV files where that is installed."""
    folder, config = converted
    manifest = read_manifest(folder, config)
    wrong = []
    for path in sorted([folder / "manifest.json", *folder.glob("*.beton")]):
        whole = path.read_bytes()
        of_beton = path.suffix == ".beton"
        read = (
            (lambda: check_betons(folder, manifest)) if of_beton else (lambda: read_manifest(folder, config))
        )
        wrong += [read_damaged(path, whole, read, 100_000 + seed) for seed in seeds]
    assert not any(wrong), "\n".join(filter(None, wrong))
