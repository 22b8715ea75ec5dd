"""GPUs are shared out: each process has its own, with GPUs that are pretended by a program called nvidia-smi."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dynvision.config.training import ExecutionConfig
from dynvision.errors import InputError
from dynvision.gpus import VISIBLE, hold_gpus, visible_gpus
from dynvision.resources import Requests
from tests.pretended_gpus import pretend_gpus
from tests.processes import wait_for


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """Pretends that there are so many; their names."""
    return lambda n: pretend_gpus(n, tmp_path, monkeypatch)


def test_what_may_be_used(gpus: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    names = gpus(4)
    assert visible_gpus() == names
    for chosen, numbers in {"2": [2], "3,1": [3, 1], "GPU-0001": [1], "": [], "1,7,2": [1]}.items():
        monkeypatch.setenv(VISIBLE, chosen)
        assert visible_gpus() == [names[number] for number in numbers], chosen


def hold_in_a_process(n: int, said: Path, share: int = 1) -> int:
    """Hold GPUs until killed; they are written to a file, and what is printed meanwhile to another, ``.err``."""
    child = os.fork()
    if child == 0:
        try:
            sys.stderr = said.with_suffix(".err").open("w")
            with hold_gpus(n, "auto", share) as held:
                said.with_suffix(".part").write_text(f"{','.join(held)} {os.environ[VISIBLE]}")
                said.with_suffix(".part").rename(said)
                time.sleep(10**6)  # until it is killed
        finally:
            os._exit(0)
    return child


def test_four_jobs_on_four_gpus_and_a_fifth_that_waits(
    gpus: Callable[[int], list[str]], tmp_path: Path
) -> None:
    names = gpus(4)
    files = [tmp_path / f"said-{number}" for number in range(5)]
    jobs = [hold_in_a_process(1, file) for file in files]
    try:
        wait_for(lambda: sum(file.exists() for file in files) == 4)
        time.sleep(0.5)
        first = {file: file.read_text() for file in files if file.exists()}
        assert sorted(first.values()) == [f"{name} {name}" for name in names]
        (waiting,) = (file for file in files if file not in first)
        ended = next(iter(first))
        os.kill(jobs[files.index(ended)], signal.SIGKILL)  # however it ends, its GPU is free
        wait_for(waiting.exists)
        assert waiting.read_text() == first[ended]
    finally:
        for job in jobs:
            os.kill(job, signal.SIGKILL)
            os.waitpid(job, 0)


def test_jobs_that_share_gpus_are_spread_over_them(gpus: Callable[[int], list[str]], tmp_path: Path) -> None:
    """Three on each of two GPUs, one after the other on each; a seventh waits, and so does one that wants a GPU alone."""
    names = gpus(2)
    jobs: dict[Path, int] = {}

    def start(share: int) -> Path:
        said = tmp_path / f"said-{len(jobs)}"
        jobs[said] = hold_in_a_process(1, said, share)
        return said

    try:
        held = []
        for _ in range(6):
            held.append(start(3))
            wait_for(held[-1].exists)
        assert [said.read_text() for said in held] == [f"{name} {name}" for name in 3 * names]
        assert not any(printed.read_text() for printed in tmp_path.glob("said-*.err"))
        seventh, alone = start(3), start(1)
        waiting = "waiting for a free GPU (2 are in use)\n"
        printed = [said.with_suffix(".err") for said in (seventh, alone)]
        wait_for(lambda: all(file.exists() and file.read_text() == waiting for file in printed))
        assert not seventh.exists() and not alone.exists()
        os.kill(jobs[held[3]], signal.SIGKILL)
        wait_for(seventh.exists)
        assert seventh.read_text() == f"{names[1]} {names[1]}"
        for said in held[::2]:
            os.kill(jobs[said], signal.SIGKILL)
        wait_for(alone.exists)
        assert alone.read_text() == f"{names[0]} {names[0]}"
        assert all(os.waitpid(jobs[said], os.WNOHANG) == (0, 0) for said in (held[1], seventh))  # they go on
    finally:
        for job in jobs.values():
            os.kill(job, signal.SIGKILL)
            os.waitpid(job, 0)


def test_several_at_once(gpus: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    names = gpus(3)
    with hold_gpus(2, "gpu") as held:
        assert held == names[:2] and os.environ[VISIBLE] == ",".join(held)
    assert VISIBLE not in os.environ
    with hold_gpus(3, "gpu") as held:
        assert held == names
    with pytest.raises(InputError, match="execution.devices=4, but there are 3 GPUs"), hold_gpus(4, "auto"):
        pass


def test_nothing_is_held_where_nothing_is_to_be_shared(
    gpus: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(2)
    with hold_gpus(1, "cpu") as held:
        assert held == [] and VISIBLE not in os.environ
    monkeypatch.setenv("LOCAL_RANK", "1")  # one of several that Lightning has started
    with hold_gpus(2, "auto") as held:
        assert held == []
    monkeypatch.delenv("LOCAL_RANK")
    gpus(0)
    with hold_gpus(1, "auto") as held:
        assert held == []


def test_a_job_on_a_gpu_counts_as_one_core(gpus: Callable[[int], list[str]]) -> None:
    """So that `-j 4` is four jobs on four GPUs; without a GPU a job takes the cores that it can use."""
    for n, accelerator, threads in ((4, "auto", 1), (4, "gpu", 1), (4, "cpu", 8), (0, "auto", 8)):
        gpus(n)
        assert Requests({}, ExecutionConfig(accelerator=accelerator)).threads == threads


@pytest.mark.parametrize(
    ("chosen", "numbers"),
    [
        ("-1", []),
        ("0,-1,1", [0]),
        ("NoDevFiles", []),
        (" 1 , 2 ", [1, 2]),
        ("1,1", []),
        ("0,1,0", []),
        ("GPU-0002,GPU-0001", [2, 1]),
        ("GPU-0001,GPU-0001", []),
        ("GPU-000", []),  # of several
        ("GPU-0001,GPU-9,GPU-0002", [1]),
        ("+2", [2]),
        ("2x,1", [2, 1]),
        ("cuda:0", []),
    ],
)
def test_cudas_own_rules(
    gpus: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch, chosen: str, numbers: list[int]
) -> None:
    """https://docs.nvidia.com/cuda/cuda-c-programming-guide, CUDA Environment Variables; torch.cuda reads it likewise."""
    names = gpus(4)
    monkeypatch.setenv(VISIBLE, chosen)
    assert visible_gpus() == [names[number] for number in numbers]
    with hold_gpus(1, "auto") as held:
        assert len(held) == min(1, len(numbers))


def test_a_part_of_a_gpu_is_taken_as_it_is(
    gpus: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(1)
    monkeypatch.setenv(VISIBLE, "MIG-1234")
    assert visible_gpus() == ["MIG-1234"]


def test_a_driver_that_does_not_answer(
    gpus: Callable[[int], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpus(1)
    monkeypatch.setattr("dynvision.gpus.PROBE_S", 0.2)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 30\n")
    assert visible_gpus() == []
    assert capsys.readouterr().err.startswith("nvidia-smi did not answer within 0.2 s, so no GPU is used")
    (tmp_path / "nvidia-smi").write_text("no program")
    assert visible_gpus() == []
