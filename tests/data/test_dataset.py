"""``get_dataset`` and its presets."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dynvision.data
from dynvision.data import get_dataset
from dynvision.data.sources.class_folders import PRESETS, find_preset
from dynvision.errors import InputError
from tests.data.conftest import MakeFolder


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_gives_normalised_images(make_folder: MakeFolder, name: str) -> None:
    dataset = get_dataset(path=make_folder(size=(50, 40), cat=2, dog=3), data_transform=name)
    assert len(dataset) == 5
    assert dataset.classes == ("cat", "dog")
    image, label = dataset[4]
    config, preset = find_preset(name)
    assert image.shape == (config.n_channels, preset.resolution, preset.resolution)
    assert image.dtype == torch.float32
    assert label == 1
    low = (torch.zeros(config.n_channels) - torch.tensor(preset.mean)) / torch.tensor(preset.sd)
    high = (torch.ones(config.n_channels) - torch.tensor(preset.mean)) / torch.tensor(preset.sd)
    assert (image.amin(dim=(1, 2)) >= low - 1e-5).all()
    assert (image.amax(dim=(1, 2)) <= high + 1e-5).all()


def test_test_preset_is_the_image_itself(make_folder: MakeFolder) -> None:
    root = make_folder(size=(32, 32), cat=1, dog=1)
    image, _ = get_dataset(root, "cifar10_test")[0]
    pixels = np.asarray(Image.open(root / "cat" / "000.png")).transpose(2, 0, 1) / 255
    _, preset = find_preset("cifar10_test")
    expected = (pixels - np.array(preset.mean)[:, None, None]) / np.array(preset.sd)[:, None, None]
    assert np.abs(image.numpy() - expected).max() < 1e-5


def test_imagenet_test_is_the_centre_of_256_px(tmp_path: Path) -> None:
    columns = np.tile(np.linspace(0, 255, 512).astype(np.uint8), (256, 1))
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.repeat(columns[:, :, None], 3, axis=2)).save(tmp_path / name / "0.png")
    image, _ = get_dataset(tmp_path, "imagenet_test")[0]
    _, preset = find_preset("imagenet_test")
    red = image[0] * preset.sd[0] + preset.mean[0]
    assert torch.allclose(red[0] * 255, torch.tensor(columns[0, 144:368]).float(), atol=1e-3)


def test_train_preset_shifts_and_flips_by_the_seed_of_torch(make_folder: MakeFolder) -> None:
    root = make_folder(size=(32, 32), cat=1, dog=1)
    dataset = get_dataset(root, "cifar10_train")
    torch.manual_seed(1)
    first = [dataset[0][0] for _ in range(40)]
    torch.manual_seed(1)
    again = [dataset[0][0] for _ in range(40)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({tuple(x.flatten().tolist()) for x in first}) > 30

    _, preset = find_preset("cifar10_train")
    black = torch.tensor([-mean / sd for mean, sd in zip(preset.mean, preset.sd, strict=True)])
    plain, _ = get_dataset(root, "cifar10_test")[0]
    padded = torch.nn.functional.pad(plain - black[:, None, None], (4, 4, 4, 4)) + black[:, None, None]
    possible = [padded[:, top : top + 32, left : left + 32] for top in range(9) for left in range(9)]
    for shown in first:
        assert any(
            torch.allclose(shown, x, atol=1e-5) or torch.allclose(shown.flip(2), x, atol=1e-5)
            for x in possible
        )


def test_unknown_preset_names_the_nearest(make_folder: MakeFolder) -> None:
    with pytest.raises(
        InputError, match="unknown data transform 'cifar10_trian'.* did you mean 'cifar10_train'"
    ):
        get_dataset(make_folder(cat=1, dog=1), "cifar10_trian")


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training", "Testing")])
def test_folder_with_splits_asks_for_one(make_folder: MakeFolder, train: str, test: str) -> None:
    for split in (train, test):
        root = make_folder(f"set/{split}", cat=1, dog=1).parent
    message = f"holds several splits; give one of them: .*set/{train} or .*set/{test}$"
    with pytest.raises(InputError, match=message):
        get_dataset(root, "cifar10_train")
    assert len(get_dataset(root / train, "cifar10_train")) == 2


def test_works_with_a_torch_data_loader(make_folder: MakeFolder) -> None:
    dataset = get_dataset(make_folder(cat=3, dog=3), "digits_train")
    images, labels = next(iter(torch.utils.data.DataLoader(dataset, batch_size=6, num_workers=1)))
    assert images.shape == (6, 1, 32, 32)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_importing_the_package_is_light() -> None:
    program = """
import sys
import dynvision.data
heavy = {"torch", "pytorch_lightning", "sklearn", "numba", "ffcv"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_only_the_files_that_say_so_need_ffcv() -> None:
    folder = Path(dynvision.data.__file__).parent
    needing = set()
    for path in folder.rglob("*.py"):
        for statement in ast.parse(path.read_text()).body:  # the top level: what an import of the file runs
            modules = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
            modules += [statement.module or ""] if isinstance(statement, ast.ImportFrom) else []
            if any(f"{module}.".startswith(("ffcv.", "numba.")) for module in modules):
                needing.add(path.name)
            if any(module.endswith(".ffcv_files") for module in modules):
                needing.add(path.name)
    assert needing == {"ffcv_files.py"}
