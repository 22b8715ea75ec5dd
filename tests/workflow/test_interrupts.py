"""Ctrl-C: one sentence, status 130, and the next call goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from dynvision.cli import main, models
from dynvision.config.run import read_run_config
from tests.lab import Lab
from tests.processes import BIN, run_forked, wait_for
from tests.workflow.conftest import Workflow

SENTENCE = "interrupted; run the same command again to continue\n"


def test_ctrl_c_during_training(lab: Lab) -> None:
    config = lab.config("long", training={"epochs": 300})
    log = lab.root / "log"

    def press(process: int) -> None:
        wait_for(lambda: log.exists() and "epoch 2/300" in log.read_text(), process)
        os.kill(process, signal.SIGINT)

    outcome = lab.train(config, meanwhile=press)
    assert outcome.status == 130
    lines = outcome.said.splitlines(keepends=True)
    assert lines[-1] == f"dynvision train: {SENTENCE}"
    run_id = read_run_config(config).run_id
    assert all(line.startswith(f"{run_id}: epoch ") for line in lines[:-1])
    assert not (lab.root / "run" / "model.safetensors").exists()
    assert list((lab.root / "run").rglob(".*")) == []

    def press_again(process: int) -> None:
        wait_for(lambda: log.exists() and "epoch" in log.read_text(), process)
        os.kill(process, signal.SIGINT)

    again = lab.train(config, meanwhile=press_again)
    assert again.status == 130
    first, second = again.said.splitlines()[:2]
    assert first == f"{run_id}: resuming from {lab.root}/run/checkpoints/last.ckpt"
    # The line of an epoch is said before its checkpoint is written.
    assert second.startswith((f"{run_id}: epoch {len(lines) - 1}/300 ", f"{run_id}: epoch {len(lines)}/300 "))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_during_an_experiment(lab_with_run: Lab, number: int, status: int) -> None:
    long = lab_with_run.experiment(values=[k / 3000 for k in range(1, 3001)])
    folder = lab_with_run.root / "tables"

    def stop(process: int) -> None:
        wait_for(lambda: folder.exists() and any(folder.iterdir()), process)
        os.kill(process, number)

    outcome = lab_with_run.show(long, tables="tables", meanwhile=stop)
    assert (outcome.status, outcome.said) == (status, f"dynvision experiment: {SENTENCE}")
    assert list(folder.iterdir()) == []


def test_ctrl_c_while_libraries_are_imported(lab: Lab) -> None:
    """Some of them make another error of it."""
    folders = ["--data", str(lab.root / "data"), "--output", str(lab.root / "run")]
    command = [str(BIN / "dynvision"), "train", "--config", str(lab.root / "config.yaml"), *folders]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        wait_for(lambda: "_multiarray_umath" in maps.read_text() or "libtorch" in maps.read_text())
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
    assert (process.returncode, said) == (130, f"dynvision train: {SENTENCE}")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_while_an_object_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    """Python drops an exception that is raised then."""

    class Deleted:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)
            for _ in range(1000):  # Python looks for signals at the end of a pass
                pass

    def run(parsed: object) -> None:
        Deleted()
        time.sleep(600)

    monkeypatch.setattr(models, "run_models", run)
    outcome = run_forked(lambda: main(["models"]), tmp_path / "log")
    assert (outcome.status, outcome.said) == (status, f"dynvision models: {SENTENCE}")


@pytest.mark.slow
def test_ctrl_c_and_kill_of_a_whole_call(workflow: Workflow) -> None:
    """Ctrl-C reaches all processes of a terminal; the lock that SIGKILL leaves is removed by the next call."""
    long = {
        "training": "{epochs: 3000, batch_size: 8}",
        "model_args": "{n_timesteps: 3, trc: 2}",
        "experiment": "contrast",
    }
    command = [str(BIN / "snakemake"), *workflow.arguments(**long)]
    log = workflow.root / "said"

    def stop(number: int, since: str) -> int:
        with open(log, "w") as said:
            call = subprocess.Popen(
                command, cwd=workflow.root, stdout=said, stderr=said, start_new_session=True
            )
        try:
            wait_for(lambda: since in log.read_text(), call.pid)
            os.killpg(call.pid, number)
            return call.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(call.pid, signal.SIGKILL)

    assert stop(signal.SIGINT, "epoch 3/3000") == 1
    assert f"dynvision train: {SENTENCE}" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert stop(signal.SIGKILL, "resuming from") == -signal.SIGKILL
    planned = workflow.snakemake("-n", **long)
    assert "removed the lock of a call that was killed" in planned.said
    assert planned.status == 0, planned.said
    assert workflow.planned(**long)["train"] == 1
