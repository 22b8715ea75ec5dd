"""A search with the real Snakemake: killed in the middle of a training, resumed, and known to the workflow afterwards."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.processes import BIN, wait_for
from tests.workflow.conftest import SMALL, copy_workflow

pytest.importorskip("optuna")
SPACE = (
    "search={parameters: {trc: {low: 2, high: 6, step: 2}, training.lr: [0.01, 0.001]}, trials: 2, pruner: none, "
    "objective: contrast.peak, direction: maximize, where: {layer: layer1}}"
)


@pytest.mark.slow
def test_a_search_is_killed_resumed_and_its_runs_are_ordinary(tmp_path: Path, digits: Path) -> None:
    workflow = copy_workflow(tmp_path, digits)
    values = {
        **SMALL,
        "data_name": f"folder:{digits}",
        "model_args": "{n_timesteps: 3}",
        "experiment": "contrast",
    }
    values["training"] = "{epochs: 60, batch_size: 8}"
    given = [f"{name}={value}" for name, value in values.items()]
    command = [str(BIN / "dynvision"), "search", *given, SPACE, "--", "--cores", "1"]
    run_folders = workflow.results / "runs"
    with open(tmp_path / "said", "w") as said:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=said, stderr=said)
        wait_for(lambda: any(run_folders.glob("*/checkpoints/last.ckpt")), process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
    (run,) = (path.name for path in run_folders.iterdir())
    assert not (run_folders / run / "trained.json").exists()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trial 0: resumed" in done.stdout
    with open(workflow.results / "searches" / "search" / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["complete", "complete"]
    assert rows[0]["runs"] == run
    log = (workflow.results / "searches" / "search" / "trials" / "0.log").read_text()
    assert "resuming from" in log  # the checkpoint of the training that was killed
    best = workflow.results / "searches" / "search" / "best.yaml"
    planned = workflow.snakemake("-n", f"results/runs/{run}/trained.json", "--configfile", best, **values)
    assert planned.status == 0, planned.said
    assert "train " not in planned.said
    assert os.environ.get("DYNVISION_CALL") is None
