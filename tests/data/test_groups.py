"""Groups of classes: labels follow class indices, never the names or the order of folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynvision.config.data import DataConfig
from dynvision.config.groups import GROUPS, resolve_group
from dynvision.data.conversion import convert_dataset
from dynvision.data.datamodule import DataModule
from dynvision.data.downloads import DATA_VARIABLE
from dynvision.data.sources import open_source
from dynvision.data.sources.cifar import VERSIONS
from dynvision.data.sources.selected_classes import SelectedClasses
from dynvision.data.sources.source import ImageSource
from dynvision.errors import InputError
from dynvision.runs import plan_workflow
from tests.data.conftest import MakeFolder
from tests.data.true_formats import write_cifar, write_idx


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    return tmp_path


class Numbered(ImageSource):
    """Images of one pixel that holds the index, of classes c0 to c19, mixed."""

    def __init__(self) -> None:
        self.labels = np.random.default_rng(0).permutation(np.arange(200) % 20)
        self.class_names = tuple(f"c{k}" for k in range(20))
        self.given_splits = {"train": np.arange(150), "test": np.arange(150, 200)}

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return np.full((1, 1, 1), index, np.uint8), int(self.labels[index])

    def sha256(self) -> str:
        return "0" * 64


@pytest.mark.parametrize("classes", [(14, 6, 2), ("c2", "c14", "c6"), (6, "c14", 2)])
def test_labels_are_ranks_of_class_indices(classes: tuple[int | str, ...]) -> None:
    everything = Numbered()
    source = SelectedClasses(everything, classes)
    assert source.class_names == ("c2", "c6", "c14")  # by name, c14 would be the first
    shown = [int(source[index][0][0, 0, 0]) for index in range(len(source))]
    assert shown == [index for index in range(200) if everything.labels[index] in (2, 6, 14)]
    for index, original in enumerate(shown):
        assert (2, 6, 14)[source[index][1]] == everything.labels[original]
    for split, given in everything.given_splits.items():
        assert [shown[index] for index in source.given_splits[split]] == [i for i in shown if i in given]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ([1, 25], "data.group: there is no class 25; the last one is 19"),
        (["c1", "c211"], "unknown class 'c211' .*did you mean"),
        ([3, "c3"], "class 'c3' is given twice, by its name and by its index"),
    ],
)
def test_classes_that_are_not_there(group: list[int | str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SelectedClasses(Numbered(), tuple(group))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "cifar100", "group": "invertebrate"}, "did you mean 'invertebrates'"),
        ({"name": "cifar10", "group": "mollusks"}, r"unknown group of cifar10 'mollusks' .*allowed: all"),
        ({"group": []}, None),
        ({"group": [1]}, "group has one class, 1; at least two are needed to train"),
        ({"group": [1, 1]}, "class 1 is given twice"),
        ({"group": [1, 2.5]}, "2.5 is not a class"),
        ({"group": [1, -1]}, "-1 is not a class"),
    ],
)
def test_groups_in_a_configuration(settings: dict, message: str | None) -> None:
    if message is None:
        assert DataConfig(**settings).group == ()
        return
    with pytest.raises(InputError, match=message):
        from dynvision.config.section import validate

        validate(DataConfig, settings, "data")


def test_groups_have_the_classes_that_their_names_say() -> None:
    names = VERSIONS["cifar100"].class_names
    initials = [names[index][0] for index in GROUPS["cifar100"]["alphabet"]]
    assert initials == sorted(set(initials))  # each letter once
    assert {names[i] for i in GROUPS["cifar100"]["invertebrates"]} >= {"bee", "snail", "worm", "lobster"}
    sizes = {name: len(classes) for groups in GROUPS.values() for name, classes in groups.items()}
    assert (sizes["mollusks"], sizes["catdogs"], sizes["imagenette"], sizes["insects"]) == (8, 10, 10, 11)


def test_training_on_a_group_of_mnist(root: Path) -> None:
    parts = write_idx(root / "mnist")
    config = DataConfig(name="mnist", group="38", split_seed=1)
    convert_dataset(config, root / "out", "memory")
    data = DataModule(root / "out", config, batch_size=4, loader="memory")
    assert data.n_classes == 2
    assert data.manifest.class_names == ("3", "8")
    labels = np.concatenate([batch for _, batch in data.test_dataloader()])
    original = parts["t10k"][1]
    assert sorted((3, 8)[label] for label in labels) == sorted(original[np.isin(original, (3, 8))])


def test_a_user_adds_a_group_in_yaml(config_dir: str, root: Path) -> None:
    write_cifar(root / "cifar10", "cifar10")
    plan = plan_workflow(
        config_dir,
        {
            "data_name": "cifar10",
            "groups": {"cifar10": {"animals": ["bird", "cat", 4]}},
            "data": {"group": "animals"},
        },
    )
    (run,) = plan.runs.values()
    assert run.data.group == ("bird", "cat", 4)
    assert open_source(run.data).class_names == ("bird", "cat", "deer")


def test_a_group_of_a_folder(make_folder: MakeFolder, config_dir: str) -> None:
    folder = f"folder:{make_folder(ant=4, bee=4, cow=4)}"
    groups = {folder: {"insects": ["bee", "ant"]}}
    assert resolve_group(folder, "insects", "data.group", groups) == ("bee", "ant")
    source = open_source(DataConfig(name=folder, group=["bee", "ant"], resolution=8))
    assert source.class_names == ("ant", "bee")
    assert np.bincount(source.labels).tolist() == [4, 4]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"groups": {"cifar10": {"x": []}}}, "groups.cifar10.x is an empty list"),
        ({"groups": {"cifar10": 5}}, "groups.cifar10 must hold keys and values"),
        ({"groups": {"digits": {"few": [1, 2]}}, "data": {"group": "fewer_"}}, "did you mean 'few'"),
        ({"transforms": {"mine": ["flipp"]}}, "unknown transform operation 'flipp' .*did you mean 'flip'"),
        ({"data": {"train_transform": "digits_trian"}}, "did you mean 'digits_train'"),
        ({"data": {"train_transform": [{"cutout": {"sizes": 4}}]}}, "did you mean 'size'"),
        ({"data": {"test_transform": ["flip"]}}, "flip is random, and validation and test images are never"),
        ({"data": {"normalization": "imagenet"}}, "has 3 channels, but n_channels=1"),
        ({"data": {"normalization": "mnits"}}, "did you mean 'mnist'"),
        ({"data": {"order": "quasi"}}, "data.order"),
        ({"data": {"max_resolution": 16}}, "max_resolution=16 px is smaller than resolution=32 px"),
        ({"data": {"page_size": 1000}}, "write 0 or a power of 2 from 2097152"),
        ({"data": {"write_mode": "jpeg"}}, "did you mean 'jpg'"),
    ],
)
def test_misspelt_in_yaml(config_dir: str, values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_workflow(config_dir, values)
