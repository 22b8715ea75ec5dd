"""Groups of classes: labels follow class indices, never the names or the order of folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dynvision.config.data import DataConfig
from dynvision.config.transforms import GROUPS, resolve_group
from dynvision.data.conversion import convert_dataset
from dynvision.data.datamodule import DataModule
from dynvision.data.downloads import DATA_VARIABLE
from dynvision.data.sources import ImageSource, SelectedClasses, open_source
from dynvision.data.sources.arrays import VERSIONS
from dynvision.errors import InputError
from dynvision.runs import plan_workflow
from tests.data.conftest import MakeFolder
from tests.data.true_formats import write_cifar, write_idx
from tests.lab import Lab


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


def numbered_folders(make_folder: MakeFolder, *names: int) -> Path:
    """Class folders whose names are numbers."""
    return make_folder(**{str(name): 6 for name in names})


@pytest.mark.parametrize(
    ("names", "group", "message"),
    [
        # sorted as text, 10 comes before 2: index 1 is the folder 10
        (
            (1, 2, 10),
            [1, 2],
            r'data.group: 1 may be .* index 1, named \'10\'; write the name in quotes, "1" or "10"',
        ),
        ((5, 6, 7), [5, 6], r'data.group: 5 may be .* which is not there; write the name in quotes, "5"$'),
    ],
)
def test_a_number_that_is_an_index_and_a_name_is_refused(
    make_folder: MakeFolder, names: tuple[int, ...], group: list[int], message: str
) -> None:
    root = numbered_folders(make_folder, *names)
    with pytest.raises(InputError, match=message):
        open_source(DataConfig(name=f"folder:{root}", group=group))
    by_name = open_source(DataConfig(name=f"folder:{root}", group=[str(name) for name in group]))
    assert set(by_name.class_names) == {str(name) for name in group}


def test_a_group_of_an_experiment_may_be_no_riddle_either(make_folder: MakeFolder, tmp_path: Path) -> None:
    config = DataConfig(name=f"folder:{numbered_folders(make_folder, 1, 2, 10)}", resolution=8, split_seed=1)
    manifest = convert_dataset(config, tmp_path / "data", "torch")
    with pytest.raises(InputError, match="group: 1 may be the class named '1' or the class of index 1"):
        manifest.positions("test", (1,))
    assert len(manifest.positions("test", ("1", "10"))) == 2
    # where no class is named by a number, a number is an index
    plain = DataConfig(name=f"folder:{make_folder('other', a=6, b=6, c=6)}", resolution=8, split_seed=1)
    assert len(convert_dataset(plain, tmp_path / "plain", "torch").positions("test", (0, 2))) == 2


def test_the_classes_that_are_taken_are_said(
    make_folder: MakeFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_folder(ant=5, bee=5, cat=5)
    config = DataConfig(name=f"folder:{root}", resolution=8, split_seed=1, group=["cat", 0])
    convert_dataset(config, tmp_path / "data", "torch")
    said = "data.group takes 2 of 3 classes, by index and name: 0 ant, 2 cat"
    assert capsys.readouterr().out.splitlines() == [said]


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


# --- testing on a group with the labels of the training --------------------------------------------------------------


@pytest.mark.parametrize("loader", ["torch", "memory"])
def test_test_images_of_a_group_keep_their_labels(digits_data: Path, loader: str) -> None:
    data = DataModule(digits_data, batch_size=16, loader=loader, num_workers=0)  # type: ignore[arg-type]
    chosen = data.test_dataloader((8, "3"))
    images, labels = (torch.cat(parts) for parts in zip(*chosen, strict=True))
    assert labels.tolist()[:6] == [3, 8, 3, 8, 3, 8]
    everything = data.test_dataloader()
    all_images, all_labels = (torch.cat(parts) for parts in zip(*everything, strict=True))
    kept = torch.isin(all_labels, torch.tensor([3, 8]))
    assert chosen.n_images == len(labels) == int(kept.sum())
    assert len(chosen) == -(-chosen.n_images // 16)
    place = {index: k for k, index in enumerate(everything.image_indices.tolist())}
    for image, index in zip(images, chosen.image_indices.tolist(), strict=True):
        assert torch.equal(image, all_images[place[index]])


@pytest.mark.parametrize(
    ("trained", "classes", "labels"),
    [
        ((), (7, 2), [2, 7]),
        ((8, 2, 5), (8, 5), [1, 2]),  # labels of the training: 2 is 0, 5 is 1, 8 is 2
        ((8, 2, 5), ("8", "2"), [0, 2]),
        (("8", "2", "5"), ("5",), [1]),
    ],
)
def test_a_class_keeps_its_index_where_the_network_knows_some_only(
    tmp_path: Path, trained: tuple, classes: tuple, labels: list[int]
) -> None:
    config = DataConfig(name="digits", group=trained, resolution=8, split_seed=0)
    manifest = convert_dataset(config, tmp_path, "memory")
    shown = np.array(manifest.test.labels)[manifest.positions("test", classes)]
    assert sorted(set(shown)) == labels
    originals = np.array(open_source(DataConfig(name="digits", resolution=8)).labels)
    names = {manifest.class_names[label] for label in shown}
    assert names == {str(name) for name in classes}
    assert set(np.unique(originals)) == set(range(10))


@pytest.mark.parametrize(
    ("trained", "classes", "message"),
    [
        ((), (11,), "there is no class 11"),
        ((), ("nine",), "unknown class 'nine'"),
        ((2, 5), (8,), "class 8 is none of data.group"),
        (("2", "5"), (2,), "class 2 is none of data.group.*name its classes in the same way"),
        ((2, 5), ("8",), "unknown class '8'"),
    ],
)
def test_a_class_that_the_network_does_not_know(
    tmp_path: Path, trained: tuple, classes: tuple, message: str
) -> None:
    config = DataConfig(name="digits", group=trained, resolution=8, split_seed=0)
    manifest = convert_dataset(config, tmp_path, "memory")
    with pytest.raises(InputError, match=message):
        manifest.positions("test", classes)


def test_an_experiment_on_a_group(lab_with_run: Lab) -> None:
    import pandas as pd

    experiment = lab_with_run.experiment(group=["digit 2", 0])
    shown = lab_with_run.show(experiment)
    assert shown.status == 0
    assert "group takes 2 of 3 classes, by index and name: 0 digit 0, 2 digit 2\n" in shown.said
    table = pd.read_parquet(lab_with_run.root / "contrast-experiment" / "performance.parquet")
    assert sorted(table["label"].unique()) == [0, 2]
    assert table["image"].nunique() == 4
    whole = lab_with_run.show(lab_with_run.experiment("whole"))
    assert whole.status == 0 and "group" not in whole.said
    reference = pd.read_parquet(lab_with_run.root / "whole-experiment" / "performance.parquet")
    kept = reference[reference["label"] != 1].drop(columns="experiment")
    by = ["value", "image", "time_ms"]
    first, second = (
        part.sort_values(by).reset_index(drop=True) for part in (table.drop(columns="experiment"), kept)
    )
    pd.testing.assert_frame_equal(first, second, check_categorical=False, rtol=1e-4)


def test_groups_of_experiments_are_written_out_for_each_data_set(config_dir: str) -> None:
    values = {
        "data_name": ["mnist", "digits"],
        "experiments": {"contrast": {"group": "38"}},
        "groups": {"digits": {"38": [8, 3]}},
    }
    experiment = plan_workflow(config_dir, values).experiments["contrast"]
    assert experiment.group == {"mnist": (3, 8), "digits": (8, 3)}
    assert experiment.classes("digits") == (8, 3)
    again = type(experiment).model_validate_json(experiment.model_dump_json())
    assert again.group == experiment.group
    assert plan_workflow(config_dir, {}).experiments["contrast"].classes("digits") == ()
    with pytest.raises(InputError, match="experiments.contrast: unknown group of digits '38'"):
        plan_workflow(config_dir, {**values, "groups": {}})
