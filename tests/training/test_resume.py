"""A training that was stopped goes on from its last checkpoint, and ends as if it had not been stopped."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import tracemalloc
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file as torch_save

from dynvision.config.run import read_run_config
from dynvision.data import read_manifest
from dynvision.errors import InputError
from dynvision.models.weights import _sort_header, read_weights, save_weights
from dynvision.training.checkpoints import AtomicCheckpointIO, last_checkpoint
from tests.lab import Lab
from tests.processes import Kill
from tests.training.moments import Moment
from tests.training.runs import EVERYTHING, same_result, stop_after


@pytest.mark.parametrize("epoch", [1, 2])
def test_resumed_training_ends_with_equal_bits(lab: Lab, trained_lab: Lab, epoch: int) -> None:
    stop_after(lab, epoch)
    outcome = lab.train()
    assert outcome.status == 0
    run_id = read_run_config(lab.root / "config.yaml").run_id
    lines = outcome.said.splitlines()
    assert lines[0] == f"{run_id}: resuming from {lab.root}/run/checkpoints/last.ckpt"
    assert [line.split()[2] for line in lines[1:-1]] == [f"{number}/3" for number in range(epoch + 1, 4)]
    same_result(lab, trained_lab.root / "run")


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_training_killed_in_the_middle_of_an_epoch_ends_with_equal_bits(
    lab: Lab, everything: Lab, epoch: int
) -> None:
    """With warm-up, accumulation, moving average, momentum and early stopping."""
    n_epochs = len(pd.read_csv(everything.root / "run" / "training.csv"))
    assert 3 < n_epochs < 8
    lab.config(training=EVERYTHING)
    with Moment(epoch, batch=1).awaited():
        assert lab.train().status == -signal.SIGKILL
    outcome = lab.train()
    assert outcome.status == 0, outcome.said
    assert f"epoch {epoch}/8" not in outcome.said and f"epoch {epoch + 1}/8" in outcome.said
    same_result(lab, everything.root / "run")


def test_a_training_killed_after_it_was_stopped_early_does_not_go_on(lab: Lab, everything: Lab) -> None:
    lab.config(training=EVERYTHING)
    assert lab.train(kill=Kill(0, "test.json")).status == -signal.SIGKILL
    outcome = lab.train()
    assert "epoch" not in outcome.said.split("resuming from")[1].split("stopped after")[0]
    assert "had not become better for 3 epochs" in outcome.said
    same_result(lab, everything.root / "run")


def test_noise_goes_on_where_it_was(lab: Lab) -> None:
    config = lab.config("noisy", model={"args": {"drive_noise": 0.5, "n_timesteps": 3, "t_recurrence": 2}})
    assert lab.train(config, "undisturbed").status == 0
    stop_after(lab, 1, config)
    assert "resuming from" in lab.train(config).said
    same_result(lab, lab.root / "undisturbed")


def test_the_last_epoch_counts_also_if_it_is_not_the_best(lab: Lab) -> None:
    rough = {"epochs": 4, "learning_rate": 0.5, "scheduler": "none", "optimizer": "SGD", "gradient_clip": 0}
    config = lab.config("rough", training=rough)
    assert lab.train(config, "undisturbed").status == 0
    first, second, *_ = pd.read_csv(lab.root / "undisturbed" / "training.csv")["val_loss"]
    assert second > first
    stop_after(lab, 2, config)
    said = lab.train(config).said
    assert "epoch 2/4" not in said and "epoch 3/4" in said
    same_result(lab, lab.root / "undisturbed")


def test_a_moved_training_goes_on(lab: Lab, trained_lab: Lab) -> None:
    stop_after(lab, 2, run="before")
    (lab.root / "before").rename(lab.root / "run")
    outcome = lab.train()
    assert outcome.status == 0 and "Warning" not in outcome.said
    same_result(lab, trained_lab.root / "run")


def test_a_finished_training_begins_anew(lab_with_run: Lab, trained_lab: Lab) -> None:
    """As a rule does that runs again because the images have changed: the old weights must not count as done."""
    outcome = lab_with_run.train()
    assert outcome.status == 0
    assert "epoch 1/3" in outcome.said and "resuming from" not in outcome.said
    same_result(lab_with_run, trained_lab.root / "run")


@pytest.fixture
def half_trained(lab: Lab) -> Lab:
    stop_after(lab, 1)
    return lab


def test_a_damaged_checkpoint_is_one_sentence(half_trained: Lab) -> None:
    path = half_trained.root / "run" / "checkpoints" / "last.ckpt"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PK not really a checkpoint"):
        path.write_bytes(content)
        outcome = half_trained.train()
        assert outcome.status == 2
        assert outcome.said.startswith(f"dynvision train: checkpoint {path} cannot be read (")
        assert outcome.said.endswith("); delete it and train again\n") and outcome.said.count("\n") == 1
        assert path.read_bytes() == content
    path.unlink()
    assert "epoch 1/3" in half_trained.train().said


def test_a_checkpoint_of_another_run_is_one_sentence(half_trained: Lab) -> None:
    config = half_trained.config("other", training={"batch_size": 9})
    outcome = half_trained.train(config)
    ours, theirs = (read_run_config(path).run_id for path in (config, half_trained.root / "config.yaml"))
    path = half_trained.root / "run" / "checkpoints" / "last.ckpt"
    assert (outcome.status, outcome.said) == (
        2,
        f"dynvision train: checkpoint {path} is of {theirs}, not of {ours}; delete it and train again\n",
    )


def test_a_checkpoint_from_elsewhere_is_not_trusted(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "evil"),))

    torch.save({"callbacks": {}, "evil": Evil()}, tmp_path / "last.ckpt")
    with pytest.raises(InputError, match="cannot be read"):
        last_checkpoint(tmp_path, "run", "images")
    assert not (tmp_path / "evil").exists()
    torch.save({"epoch": 0, "state_dict": {}, "dynvision": {}}, tmp_path / "last.ckpt")
    with pytest.raises(InputError, match="is of an unknown run, not of run"):
        last_checkpoint(tmp_path, "run", "images")


def test_a_checkpoint_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}

    def full(self: Path, content: bytes) -> int:
        with open(self, "wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as error:
        AtomicCheckpointIO().save_checkpoint({"epoch": 2}, path)
    assert error.value.filename == str(path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_checkpoints_of_other_images_are_not_resumed(
    tmp_path: Path, trained_lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images that are for the test now may have been trained on."""
    best = trained_lab.root / "run" / "checkpoints" / "best.ckpt"
    known = torch.load(best, weights_only=True)["dynvision"]
    assert known["images"] == read_manifest(trained_lab.root / "data").identity
    for name in ("last.ckpt", "best.ckpt", "epoch-0001.ckpt"):
        shutil.copy(best, tmp_path / name)
    assert last_checkpoint(tmp_path, known["run_id"], known["images"]) == tmp_path / "last.ckpt"
    assert last_checkpoint(tmp_path, known["run_id"], "others") is None
    assert capsys.readouterr().out.endswith(
        ": the images are not those of the checkpoint; the training begins from the start\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_another_process_removes_meanwhile_is_not_resumed(
    tmp_path: Path, trained_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that train together look for it at once, and the first to find other images removes it."""
    path = tmp_path / "last.ckpt"
    shutil.copy(trained_lab.root / "run" / "checkpoints" / "best.ckpt", path)
    load = torch.load

    def removed_first(given: Path, **options: Any) -> Any:
        path.unlink()
        return load(given, **options)

    monkeypatch.setattr(torch, "load", removed_first)
    assert last_checkpoint(tmp_path, "run", "others") is None


def test_equal_weights_are_equal_files(tmp_path: Path) -> None:
    model, facts = torch.nn.Linear(3, 2), {f"key {n}": "value" for n in range(9)}
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    save_weights(model, first, facts)
    save_weights(model, second, dict(reversed(facts.items())))
    assert first.read_bytes() == second.read_bytes()
    tensors, header = read_weights(second)
    assert header == facts and torch.equal(tensors["weight"], model.weight)


def test_weights_are_not_written_twice(tmp_path: Path) -> None:
    """Sorting the header reads and writes the header alone, whatever letters are in it."""
    path = tmp_path / "model.safetensors"
    facts = dict.fromkeys("zya", 'Affe, Bär, 犬 "quoted"\n')
    torch_save(torch.nn.Linear(1000, 1000).state_dict(), path, metadata=facts)
    content = path.read_bytes()
    tracemalloc.start()
    _sort_header(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1e6 < path.stat().st_size == len(content)
    assert read_weights(path)[1] == facts and path.read_bytes()[-4_000_000:] == content[-4_000_000:]


def test_two_processes_never_train_one_run(lab: Lab) -> None:
    """Also where the one that is at work cannot be seen, as a process in another container."""
    held = lab.root / "run" / ".held"
    held.parent.mkdir(parents=True)
    with open(held, "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        file.write("77 on there")
        file.flush()
        refused = lab.train()
        assert (refused.status, sorted(path.name for path in held.parent.iterdir())) == (2, [".held"])
        assert "run run is being trained by another process (77 on there); wait until it ends" in refused.said
    assert lab.train().status == 0  # a lock goes with its holder, and the file does not matter
    assert not held.exists()
