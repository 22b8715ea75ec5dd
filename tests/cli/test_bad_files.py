"""Files that cannot be used get one sentence that names them; nothing is lost and nothing half is left."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dynvision.config.run import read_run_config
from dynvision.models.weights import save_weights
from tests.lab import Lab
from tests.processes import Outcome


def check_sentence(outcome: Outcome, command: str, *said: object) -> None:
    """One line, of the command, with exit status 2."""
    assert outcome.status == 2, outcome.said
    assert outcome.said.startswith(f"dynvision {command}: ")
    assert outcome.said.count("\n") == 1 and "Traceback" not in outcome.said
    for part in said:
        assert str(part) in outcome.said


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# --- images ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_images(lab: Lab) -> Lab:
    """A laboratory with a copy of the images, and nothing converted."""
    shutil.rmtree(lab.root / "data")
    images = Path(shutil.copytree(lab.images, lab.root / "images"))
    own = Lab(lab.root, images)
    own.config()
    return own


def test_a_missing_folder(own_images: Lab) -> None:
    shutil.rmtree(own_images.images)
    check_sentence(own_images.convert(), "convert", f"data folder {own_images.images} does not exist")


def test_an_empty_folder(own_images: Lab) -> None:
    shutil.rmtree(own_images.images)
    own_images.images.mkdir()
    check_sentence(own_images.convert(), "convert", f"data folder {own_images.images} is empty")


def test_an_empty_class(own_images: Lab) -> None:
    for path in (own_images.images / "digit 1").iterdir():
        path.unlink()
    check_sentence(own_images.convert(), "convert", f"class folder {own_images.images}/digit 1 has no images")


def test_an_unreadable_image_is_named(own_images: Lab) -> None:
    image = own_images.images / "digit 2" / "05.png"
    whole = image.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"GIF89a, not really"):
        image.write_bytes(content)
        check_sentence(own_images.convert(), "convert", f"image {image} cannot be read")
        assert files(own_images.root / "data") == set()
    image.write_bytes(whole)
    assert own_images.convert().status == 0


def test_images_that_changed_after_conversion(own_images: Lab) -> None:
    assert own_images.convert().status == 0
    shutil.copy(own_images.images / "digit 2" / "05.png", own_images.images / "digit 1" / "05.png")
    check_sentence(
        own_images.train(),
        "train",
        "have changed since conversion",
        f"delete the folder {own_images.root}/data",
    )


# --- converted data -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def beton_lab(trained_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A laboratory with images converted to FFCV files."""
    from dynvision.data.storage import ffcv_failure

    failure = ffcv_failure()
    if failure is not None:
        pytest.skip(f"FFCV cannot be imported here: {failure}")
    lab = Lab(tmp_path_factory.mktemp("ffcv"), trained_lab.images)
    lab.config()
    folders = ("--config", lab.root / "config.yaml", "--output", lab.root / "data")
    outcome = lab.command("convert", *folders, "--loader", "ffcv")
    assert outcome.status == 0, outcome.said
    return lab


def train_with_ffcv(lab: Lab, run: str) -> Outcome:
    data = ("--data", lab.root / "data", "--output", lab.root / run, "--loader", "ffcv")
    return lab.command("train", "--config", lab.root / "config.yaml", *data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[:-1000], "is truncated"),
        (lambda content: b"", "is truncated: it has 0 of"),
        (lambda content: bytes(len(content)), "is not an FFCV file"),
        (
            lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
            "has changed since it was written",
        ),
        (None, "is missing"),
    ],
    ids=["truncated", "empty", "foreign", "one bit", "missing"],
)
def test_a_damaged_beton(beton_lab: Lab, damage, said: str) -> None:  # type: ignore[no-untyped-def]
    beton = beton_lab.root / "data" / "train.beton"
    whole = beton.read_bytes()
    try:
        beton.unlink() if damage is None else beton.write_bytes(damage(whole))
        check_sentence(train_with_ffcv(beton_lab, "damaged"), "train", beton, said, "delete the folder")
    finally:
        beton.write_bytes(whole)
    assert not (beton_lab.root / "damaged" / "model.safetensors").exists()


def test_both_loaders_train_the_same_network(beton_lab: Lab, trained_lab: Lab) -> None:
    assert train_with_ffcv(beton_lab, "run").status == 0
    ours, theirs = (load_file(lab.root / "run" / "model.safetensors") for lab in (beton_lab, trained_lab))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_data_of_another_configuration(lab: Lab) -> None:
    outcome = lab.train(lab.config("other", data={"test_fraction": 0.3}))
    check_sentence(
        outcome,
        "train",
        f"{lab.root}/data/manifest.json is of other data",
        "test_fraction is 0.2 and not 0.3",
    )


def test_a_damaged_manifest(lab: Lab) -> None:
    manifest = lab.root / "data" / "manifest.json"
    for content in (manifest.read_text()[:100], "", "{}"):
        manifest.write_text(content)
        check_sentence(lab.train(), "train", f"{manifest} is broken or of another version")
    manifest.unlink()
    check_sentence(lab.train(), "train", f"{manifest} is missing")


# --- weights --------------------------------------------------------------------------------------------------------


def test_missing_weights(lab: Lab) -> None:
    outcome = lab.show(lab.experiment(), tables="tables")
    check_sentence(outcome, "experiment", f"weights {lab.root}/run/model.safetensors do not exist")
    assert files(lab.root / "tables") == set() if (lab.root / "tables").exists() else True


def test_damaged_weights(lab_with_run: Lab) -> None:
    weights = lab_with_run.root / "run" / "model.safetensors"
    whole = weights.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PK\x03\x04 a pickle, perhaps"):
        weights.write_bytes(content)
        outcome = lab_with_run.show(lab_with_run.experiment(), tables="tables")
        check_sentence(outcome, "experiment", f"weights {weights} cannot be read as safetensors")
    assert not (lab_with_run.root / "tables").exists()


def test_weights_of_another_run(lab_with_run: Lab) -> None:
    other = lab_with_run.config("other", seed=2, data={"split_seed": 1})
    outcome = lab_with_run.show(lab_with_run.experiment(), config=other)
    ours, theirs = (read_run_config(path).run_id for path in (other, lab_with_run.root / "config.yaml"))
    check_sentence(outcome, "experiment", f"model.safetensors are of run {theirs}, not of {ours}")


def test_weights_of_another_model(lab_with_run: Lab) -> None:
    """Without a header that would tell of which run they are."""
    weights = lab_with_run.root / "run" / "model.safetensors"
    tensors = load_file(weights)
    tensors["layer9.weight"] = tensors.pop("layer1.conv.weight")
    tensors["classifier.weight"] = tensors["classifier.weight"][:2].clone()
    save_file(tensors, weights)
    outcome = lab_with_run.show(lab_with_run.experiment())
    check_sentence(
        outcome,
        "experiment",
        f"weights {weights} are of another model: missing layer1.conv.weight; unexpected layer9.weight; ",
        "classifier.weight has shape (2, 64) instead of (3, 64)",
    )


# --- tables and configurations --------------------------------------------------------------------------------------


def test_missing_or_foreign_tables(lab: Lab) -> None:
    experiment, table = lab.experiment(), lab.root / "none.parquet"
    options = ("--experiment", experiment, "--performance", table, "--output", lab.root / "metrics.parquet")
    check_sentence(
        lab.command("analyse", *options, "--responses", table), "analyse", f"{table} does not exist"
    )
    table.write_bytes(b"PAR1 not really")
    check_sentence(
        lab.command("analyse", *options, "--responses", table),
        "analyse",
        f"{table} cannot be read as Parquet",
    )
    assert not (lab.root / "metrics.parquet").exists()


@pytest.mark.parametrize("command", ["train", "experiment"])
def test_a_configuration_that_is_none(lab_with_run: Lab, command: str) -> None:
    path = lab_with_run.root / "broken.yaml"
    for content, said in {
        "model: [": "is not valid YAML",
        "model: {nam: x}": f"{path}: unknown key 'nam'",
    }.items():
        path.write_text(content)
        outcome = (
            lab_with_run.train(path)
            if command == "train"
            else lab_with_run.show(lab_with_run.experiment(), config=path)
        )
        check_sentence(outcome, command, path, said)


def test_an_experiment_that_is_none(lab_with_run: Lab) -> None:
    path = lab_with_run.root / "broken.yaml"
    path.write_text("values: [1]\n")
    check_sentence(lab_with_run.show(path), "experiment", f"experiment file {path} has no key 'name'")


def test_options_of_execution(lab: Lab) -> None:
    for option, value, said in (
        ("--loader", "trch", "unknown value 'trch' (key loader); did you mean 'torch'?"),
        ("--num-workers", "many", "num_workers='many' is not valid"),
        ("--test-batch-size", "0", "test_batch_size='0' is not valid"),
    ):
        check_sentence(lab.train(options=(option, value)), "train", said)


# --- places ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def read_only(lab_with_run: Lab) -> Iterator[Path]:
    """A folder in which nothing can be written by those who obey permissions."""
    folder = lab_with_run.root / "read only"
    folder.mkdir()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


def test_no_permission_to_write(lab_with_run: Lab, read_only: Path) -> None:
    denied = f"cannot use {read_only}"
    lab = lab_with_run
    outcome = lab.train(run="read only", obedient=True)
    check_sentence(outcome, "train", denied, "Permission denied; what was there before is kept")
    outcome = lab.show(lab.experiment(), tables="read only", obedient=True)
    check_sentence(outcome, "experiment", denied, "Permission denied")
    config = ("--config", lab.root / "config.yaml", "--output", read_only / "data", "--loader", "torch")
    check_sentence(lab.command("convert", *config, obedient=True), "convert", denied, "Permission denied")
    outcome = lab.command("runs", "--results", lab.root, "--output", read_only / "runs.csv", obedient=True)
    check_sentence(outcome, "runs", denied, "Permission denied")
    assert list(read_only.iterdir()) == []


def test_no_permission_to_read(lab: Lab) -> None:
    config = lab.root / "config.yaml"
    config.chmod(0)
    check_sentence(lab.train(obedient=True), "train", f"cannot use {config}: Permission denied")


def test_a_file_where_a_folder_should_be(lab: Lab) -> None:
    (lab.root / "run").write_text("")
    check_sentence(lab.train(), "train", f"cannot use {lab.root}/run")


@pytest.fixture
def small_disk(lab_with_run: Lab) -> Iterator[Path]:
    """A disk of 64 kB."""
    folder = lab_with_run.root / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_no_space_left(lab_with_run: Lab, small_disk: Path) -> None:
    """What fits stays, what does not is named, and nothing half is left."""
    lab, full = lab_with_run, "No space left on device; what was there before is kept"
    outcome = lab.train(run="disk")
    assert outcome.status == 2
    assert (
        outcome.said.splitlines()[-1]
        == f"dynvision train: cannot use {small_disk}/checkpoints/best.ckpt: {full}"
    )
    assert files(small_disk) == {"training.csv"}
    (small_disk / "training.csv").unlink()
    many = lab.experiment(values=[number / 100 for number in range(100)])
    outcome = lab.show(many, tables="disk")
    assert outcome.status == 2
    said = outcome.said.splitlines()[-1]
    assert said.startswith(f"dynvision experiment: cannot use {small_disk}/") and said.endswith(
        f".parquet: {full}"
    )
    assert files(small_disk) == set()


def test_no_space_left_for_the_weights(
    lab: Lab, trained_lab: Lab, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is trained and tested, and only the last file does not fit: nothing of that is lost."""

    def save_on_small_disk(model: torch.nn.Module, path: Path, header: dict[str, str]) -> None:
        save_weights(model, small_disk / path.name, header)

    shutil.rmtree(lab.root / "run")
    with monkeypatch.context() as patch:
        patch.setattr("dynvision.training.fit.save_weights", save_on_small_disk)
        outcome = lab.train()
    assert outcome.status == 2
    assert outcome.said.splitlines()[-1].startswith(
        f"dynvision train: cannot write {lab.root}/run/model.safetensors (Error while serializing: "
    )
    assert "No space left on device" in outcome.said and "Traceback" not in outcome.said
    assert files(small_disk) == set()
    again = lab.train()
    assert again.status == 0
    assert "resuming from" in again.said and "epoch" not in again.said
    ours, theirs = (load_file(root / "run" / "model.safetensors") for root in (lab.root, trained_lab.root))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
