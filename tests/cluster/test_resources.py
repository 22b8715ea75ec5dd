"""What jobs ask for: by hand for one case, growing with what it should grow with, and nothing for what is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.training import ExecutionConfig
from dynvision.errors import InputError
from dynvision.resources import LAUNCHER, Request, Requests

WORKFLOW = Path(__file__).parents[2]


def run_of(name: str = "DyRCNNx4", **changes: Any) -> RunConfig:
    sections: dict[str, Any] = {
        "model": {"name": name, "args": {"n_timesteps": 20}},
        "data": {"name": "digits", "resolution": 64},
        "training": {"batch_size": 256},
    }
    for section, values in changes.items():
        sections[section] = {**sections[section], **values}
    return validate(RunConfig, sections, "")


def training_request(run: RunConfig, execution: ExecutionConfig) -> Request:
    return Requests({"run": run}, execution).training("run")


def experiment_request(run: RunConfig, execution: ExecutionConfig) -> Request:
    return Requests({"run": run}, execution).experiment("run")


def test_by_hand() -> None:
    """256 images of 64 px in 20 steps at 800 B, beside 3,000 MB: 19,777 MB, in steps of 500 MB."""
    request = training_request(run_of(), ExecutionConfig())
    assert (request.mem_mb, request.runtime, request.gpu) == (20000, 240, 1)
    # 64 images a batch at 150 B: 786 MB more than the libraries
    request = experiment_request(run_of(), ExecutionConfig())
    assert (request.mem_mb, request.runtime, request.gpu) == (4000, 60, 1)


@pytest.mark.parametrize(
    ("larger", "grows"),
    [
        (run_of(data={"resolution": 128}), {"mem_mb", "runtime"}),
        (run_of(model={"args": {"n_timesteps": 40}}), {"mem_mb", "runtime"}),
        (run_of("DyRCNNx8"), {"runtime"}),
        (run_of(training={"epochs": 200}), {"runtime"}),
        (run_of(training={"batch_size": 512}), {"mem_mb"}),
    ],
)
def test_more_work_asks_for_more(larger: RunConfig, grows: set[str]) -> None:
    small, large = (training_request(run, ExecutionConfig()) for run in (run_of(), larger))
    assert {name for name in ("mem_mb", "runtime") if getattr(large, name) > getattr(small, name)} == grows
    assert large.mem_mb >= small.mem_mb and large.runtime >= small.runtime


def test_times_have_bounds() -> None:
    small = run_of("DyRCNNx2", data={"resolution": 8})
    large = run_of(data={"resolution": 512}, training={"epochs": 1000})
    assert training_request(small, ExecutionConfig()).runtime == 60
    assert training_request(large, ExecutionConfig()).runtime == 24 * 60


def test_a_gpu_is_asked_for_where_it_may_be_used() -> None:
    for accelerator, gpus in {"cpu": None, "auto": 1, "gpu": 1}.items():
        assert training_request(run_of(), ExecutionConfig(accelerator=accelerator)).gpu == gpus
    several = ExecutionConfig(devices=4, num_nodes=2)
    assert (training_request(run_of(), several).gpu, experiment_request(run_of(), several).gpu) == (8, 1)


@pytest.mark.parametrize(
    ("devices", "num_nodes", "nodes", "tasks", "tasks_per_node"),
    [(1, 1, None, None, None), (2, 1, 1, None, 2), (4, 2, 2, None, 4), (1, 3, 3, 3, None)],
)
def test_processes_are_tasks_of_a_launcher(
    monkeypatch: pytest.MonkeyPatch,
    devices: int,
    num_nodes: int,
    nodes: int | None,
    tasks: int | None,
    tasks_per_node: int | None,
) -> None:
    requests = Requests({}, ExecutionConfig(devices=devices, num_nodes=num_nodes))
    monkeypatch.delenv(LAUNCHER, raising=False)
    shape = (requests.launcher, requests.nodes, requests.tasks, requests.tasks_per_node, requests.launch)
    assert shape == (None, None, None, None, "")
    monkeypatch.setenv(LAUNCHER, "start")
    assert (requests.nodes, requests.tasks, requests.tasks_per_node) == (nodes, tasks, tasks_per_node)
    assert requests.tasks_per_gpu == (1 if tasks else None)
    command = f"start --nodes={num_nodes} --ntasks-per-node={devices} --cpus-per-task={{threads}} "
    assert requests.launch == (command if devices * num_nodes > 1 else "")


def test_submitted_jobs_share_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LAUNCHER, raising=False)
    assert Requests({}, ExecutionConfig(pack=4)).launch == ""
    monkeypatch.setenv(LAUNCHER, "start")
    with pytest.raises(
        InputError, match="execution.pack=4 jobs share a GPU, and each job that is submitted here"
    ):
        Requests({}, ExecutionConfig(pack=4))


def test_no_rule_knows_what_runs_it() -> None:
    executors = "slurm|sbatch|srun|squeue|executor|kubernetes|lsf|htcondor|cluster"
    for path in (WORKFLOW / "Snakefile", *sorted((WORKFLOW / "workflow").rglob("*.smk"))):
        code = "\n".join(line.partition("#")[0] for line in path.read_text().splitlines())
        assert not re.findall(executors, code, re.IGNORECASE), path


def test_no_rule_retries_by_itself() -> None:
    """There it would repeat inside the same allocation, with neither more memory nor more time."""
    for path in (WORKFLOW / "workflow").rglob("*.smk"):
        assert "retries:" not in path.read_text(), path
