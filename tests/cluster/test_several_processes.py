"""Two processes that train together, started by srun on CPUs (gloo): what one process with the same batches computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from tests.cluster.slurm_cluster import Clone

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

# 24 training images: each batch can be shared out, so that no image is shown twice.
TRAINING = {
    "model_args": "{n_timesteps: 3, trc: 2}",
    "data": "{resolution: 8, n_channels: 1, validation_fraction: 0.2}",
    "training": "{epochs: 8, batch_size: 8}",
}


def trained(here: Clone, execution: str, *options: str) -> Path:
    """Train through the head job; the run's folder."""
    said = here.wait(here.submit("--until", "train", *options, **TRAINING, execution=execution))
    assert said.rstrip().endswith("snakejob: finished"), said + here.job_logs()
    (run,) = (here.results / "runs").iterdir()
    return run


@pytest.mark.parametrize(
    "shape", ["devices: 2", "num_nodes: 2"], ids=["two on one node", "one on each of two"]
)
def test_as_one_process_with_the_doubled_batch(clone: Callable[..., Clone], shape: str) -> None:
    """Each process is shown half of a batch, and the gradient is the mean over both: up to rounding the same training."""
    one, two = clone(), clone(max_memory="4000")
    alone = trained(one, "{loader: torch, accelerator: cpu}")
    together = trained(two, f"{{loader: torch, accelerator: cpu, {shape}}}")
    assert alone.name == together.name
    assert sorted(path.relative_to(alone) for path in alone.rglob("*")) == sorted(
        path.relative_to(together) for path in together.rglob("*")
    )
    courses = [pd.read_csv(run / "training.csv") for run in (alone, together)]
    assert len(courses[0]) == len(courses[1]) == 8
    for name in ("train_loss", "val_loss", "learning_rate"):
        np.testing.assert_allclose(courses[1][name], courses[0][name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert courses[1]["train_loss"].iloc[-1] < courses[1]["train_loss"].iloc[0]
    weights = [load_file(run / "model.safetensors") for run in (alone, together)]
    for name, value in weights[0].items():
        np.testing.assert_allclose(weights[1][name], value, atol=1e-4, err_msg=name)
    said = two.training_log()
    assert said.count("epoch 8/8") == 1  # only the first process speaks and writes
    assert list(two.results.rglob(".*")) == []


def test_what_slurm_is_asked_for(clone: Callable[..., Clone]) -> None:
    """A task for each GPU on each node."""
    here = clone(gpus="true")
    long = {**TRAINING, "training": "{epochs: 3000, batch_size: 8}"}
    execution = "{loader: torch, accelerator: auto, devices: 2, num_nodes: 2}"
    head = here.submit("--until", "train", **long, execution=execution)
    here.until(lambda: len(here.training_jobs()) == 1)
    asked = here.cluster.show(here.training_jobs()[0])
    assert asked["NumTasks"] == "4" and asked["NumNodes"].startswith("2")
    assert "gpu:4" in asked["TresPerJob"]
    here.cluster.run("scancel", head)
    here.wait(head)


def test_a_stop_of_several_and_a_new_start(clone: Callable[..., Clone]) -> None:
    here = clone(max_memory="4000")
    long = {**TRAINING, "training": "{epochs: 30, batch_size: 8}"}
    execution = "{loader: torch, accelerator: cpu, devices: 2}"
    head = here.submit("--until", "train", **long, execution=execution)
    here.until(lambda: "epoch 3/" in here.training_log())
    here.cluster.run("scancel", head)
    here.wait(head)
    said = here.wait(here.submit("--until", "train", **long, execution=execution))
    assert said.rstrip().endswith("snakejob: finished"), said
    assert "resuming from" in here.training_log()
    (run,) = (here.results / "runs").iterdir()
    assert len(pd.read_csv(run / "training.csv")) == 30
