"""Small image folders, a converted data set, and FFCV where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynvision.config.data import DataConfig
from dynvision.data import downloads
from dynvision.data.conversion import convert_dataset
from dynvision.data.storage import ffcv_failure

MakeFolder = Callable[..., Path]


def write_image(path: Path, seed: int, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> None:
    """An image of random pixels; ``size`` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module", autouse=True)
def made_up_archives(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let tiny archives stand for the published ones, whose checksums they do not have; not where checksums are tested."""
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__ != "tests.data.test_downloads":
            patch.setattr(downloads, "_verify", lambda download, path: None)
        yield


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Makes a folder of class folders: ``make_folder(cat=5, dog=4)``."""

    def make(root: str = "images", size: tuple[int, int] = (12, 10), **classes: int) -> Path:
        for number, (name, count) in enumerate(sorted(classes.items())):
            for image in range(count):
                write_image(tmp_path / root / name / f"{image:03}.png", 1000 * number + image, size)
        return tmp_path / root

    return make


@pytest.fixture(scope="session")
def config_dir() -> str:
    """The folder of the shipped YAML files."""
    return str(Path(__file__).parents[2] / "config")


@pytest.fixture(scope="session")
def ffcv() -> None:
    """Skips where FFCV cannot be imported."""
    failure = ffcv_failure()
    if failure is not None:
        pytest.skip(f"FFCV cannot be imported here: {failure}")


@pytest.fixture(scope="session")
def digits_config() -> DataConfig:
    return DataConfig(name="digits", resolution=16, split_seed=3)


@pytest.fixture(scope="session")
def digits_data(tmp_path_factory: pytest.TempPathFactory, digits_config: DataConfig) -> Path:
    """Digits converted without FFCV."""
    folder = tmp_path_factory.mktemp("digits")
    convert_dataset(digits_config, folder, loader="torch")
    return folder


@pytest.fixture(scope="session")
def digits_beton(ffcv: None, tmp_path_factory: pytest.TempPathFactory, digits_config: DataConfig) -> Path:
    """Digits converted with FFCV."""
    folder = tmp_path_factory.mktemp("digits-ffcv")
    convert_dataset(digits_config, folder, loader="ffcv")
    return folder
