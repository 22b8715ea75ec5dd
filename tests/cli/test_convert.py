"""``dynvision convert``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynvision.cli import main
from dynvision.config.run import RunConfig
from dynvision.config.yaml_text import to_yaml
from dynvision.data.manifest import read_manifest


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of two classes of six images."""
    for number in range(12):
        path = tmp_path / "images" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "images"


def run_config(path: Path, images: Path) -> Path:
    config = RunConfig(data={"name": f"folder:{images}", "resolution": 8}, seed=4)
    path.write_text(to_yaml(config))
    return path


def test_writes_a_data_folder_and_says_so(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_config(tmp_path / "config.yaml", images)
    arguments = ["convert", "--config", str(config), "--output", str(tmp_path / "data"), "--loader", "torch"]
    assert main(arguments) == 0
    manifest = read_manifest(tmp_path / "data")
    assert manifest.config.split_seed == 4
    assert manifest.counts == {"train": 8, "val": 2, "test": 2}
    said = capsys.readouterr().out
    assert said.endswith(
        f"8 train, 2 val, 2 test images of 2 classes, 8 x 8 px, 3 channel(s) -> {tmp_path / 'data'}\n"
    )
