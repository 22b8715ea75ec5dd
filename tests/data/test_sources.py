"""Sources: the digits' pixels, the folder's files and classes, and what every source must offer."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from dynvision.config.data import DATASETS, DataConfig
from dynvision.data.downloads import DATA_VARIABLE
from dynvision.data.sources import SOURCES, ImageSource, open_source, register
from dynvision.data.storage import read_images
from dynvision.errors import InputError
from tests.data.conftest import MakeFolder, write_image
from tests.data.true_formats import write_dataset, write_imagenet


@pytest.fixture(params=sorted(SOURCES))
def source(
    request: pytest.FixtureRequest,
    make_folder: MakeFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ImageSource:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    name, group = request.param, "all"
    if name == "folder":
        name = f"folder:{make_folder(cat=5, dog=4)}"
    elif name == "imagenet":  # 1,000 folders are many
        write_imagenet(tmp_path / "data" / name, (54, 60, 62, 66, 67, 68))
        group = "snakes"
    else:
        write_dataset(tmp_path / "data", name)
    return open_source(DataConfig(name=name, group=group, resolution=9, max_resolution=9, n_channels=3))


def test_every_source_gives_images_of_the_size_asked_for(source: ImageSource) -> None:
    assert len(source) == len(source.labels) > 0
    for index in (0, len(source) - 1):
        image, label = source[index]
        assert (image.shape, image.dtype) == ((9, 9, 3), np.uint8)
        assert label == source.labels[index]
    assert set(source.labels) == set(range(len(source.class_names)))


def test_threads_read_the_same_from_every_source(source: ImageSource) -> None:
    indices = np.arange(len(source)).repeat(3)
    alone, together = (list(read_images(source, indices, n_threads=n)) for n in (0, 8))
    assert (
        [label for _, label in alone] == [label for _, label in together] == source.labels[indices].tolist()
    )
    assert all(
        np.array_equal(*pair)
        for pair in zip(*([x for x, _ in read] for read in (alone, together)), strict=True)
    )


def test_every_configured_data_set_has_a_source() -> None:
    assert {*DATASETS, "folder"} == set(SOURCES)


def test_a_source_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="is taken"):
        register("digits")(SOURCES["digits"])


def test_digits_are_the_real_ones() -> None:
    source = open_source(DataConfig(name="digits", resolution=8))
    assert len(source) == 1797
    assert np.bincount(source.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    original = load_digits().images
    for index in (0, 1000, 1796):
        expected = np.rint(original[index] * 255 / 16)
        assert np.array_equal(source[index][0][:, :, 0], expected)


@pytest.mark.parametrize("resolution", [13, 32, 64])
def test_digits_equal_an_independent_bilinear_resize(resolution: int) -> None:
    source = open_source(DataConfig(name="digits", resolution=resolution, n_channels=1))
    original = torch.tensor(load_digits().images[:20])[:, None]
    enlarged = torch.nn.functional.interpolate(original, size=(resolution, resolution), mode="bilinear")
    expected = enlarged[:, 0].numpy() * 255 / 16
    for index in range(20):
        assert np.abs(source[index][0][:, :, 0] - expected[index]).max() <= 0.5 + 1e-3


def test_folder_classes_are_sorted_and_files_in_order(make_folder: MakeFolder) -> None:
    root = make_folder(size=(8, 8), zebra=2, ant=3)
    (root / ".hidden").mkdir()
    (root / "ant" / ".DS_Store").write_bytes(b"x")
    (root / "ant" / "notes.txt").write_text("x")
    write_image(root / "ant" / "more" / "a.bmp", 7, (8, 8))
    source = open_source(DataConfig(name=f"folder:{root}", resolution=8))
    assert source.class_names == ("ant", "zebra")
    assert source.labels.tolist() == [0, 0, 0, 0, 1, 1]
    expected = np.random.default_rng(7).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(source[3][0], expected)
    assert source.given_splits == {}


def test_folder_with_given_splits(make_folder: MakeFolder) -> None:
    for split, count in {"train": 4, "test": 2, "val": 1}.items():
        root = make_folder(f"set/{split}", a=count, b=count + 1).parent
    source = open_source(DataConfig(name=f"folder:{root}"))
    assert source.class_names == ("a", "b")
    given = {split: indices.tolist() for split, indices in source.given_splits.items()}
    assert given == {"train": [*range(9)], "val": [9, 10, 11], "test": [12, 13, 14, 15, 16]}
    assert source.labels[12:].tolist() == [0, 0, 1, 1, 1]


def broken(root: Path, how: str) -> Path:
    """A folder that cannot be used."""
    root.mkdir(exist_ok=True)
    if how == "missing":
        root.rmdir()
    elif how == "file":
        root.rmdir()
        root.write_text("x")
    elif how == "no class folders":
        write_image(root / "0.png", 0)
    elif how == "one class":
        write_image(root / "cat" / "0.png", 0)
    elif how == "class without images":
        write_image(root / "cat" / "0.png", 0)
        (root / "dog").mkdir()
    elif how == "no test":
        write_image(root / "train" / "cat" / "0.png", 0)
        write_image(root / "val" / "cat" / "0.png", 0)
    elif how == "unknown class":
        for place in ("train/cat", "train/dog", "test/cow"):
            write_image(root / place / "0.png", 0)
    return root


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "does not exist"),
        ("file", "is not a folder"),
        ("empty", "is empty"),
        ("no class folders", "has no class folders"),
        ("one class", "only one class folder, 'cat'"),
        ("class without images", "dog has no images"),
        ("no test", "no test folder beside it; rename its val folder to test"),
        ("unknown class", "cow has no counterpart"),
    ],
)
def test_unusable_folder(tmp_path: Path, how: str, message: str) -> None:
    root = broken(tmp_path / "set", how)
    with pytest.raises(InputError, match=message) as caught:
        open_source(DataConfig(name=f"folder:{root}"))
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_hash_sees_every_change(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(cat=3, dog=3)
    config = DataConfig(name=f"folder:{root}")
    before = open_source(config).sha256()
    assert open_source(config).sha256() == before

    image = root / "cat" / "000.png"
    kept = image.read_bytes()
    image.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))  # same name and size
    assert open_source(config).sha256() != before
    image.write_bytes(kept)
    image.rename(root / "cat" / "renamed.png")
    assert open_source(config).sha256() != before
    (root / "cat" / "renamed.png").rename(image)
    shutil.copy(image, root / "dog" / "copy.png")
    assert open_source(config).sha256() != before
