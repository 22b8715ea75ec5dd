"""The doctor: a line for each check, and what to do about those that fail. On a real cluster: test_doctor_cluster.py."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from dynvision.cli import main
from dynvision.cluster import machine, site
from dynvision.cluster.machine import ANSWER, QUESTION, Check, look_around, run_checks
from dynvision.cluster.settings import SiteConfig
from dynvision.errors import InputError
from tests.workflow.conftest import Workflow

ANSWERED = {
    "host": "n1",
    "read": "t",
    "token": "t",
    "its_time": 1000.0,
    "written_at": 1001.0,
    "error": "",
    "gpus": [],
    "visible": None,
}


def test_a_machine_in_order(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workflow.root)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", check.name] for check in machine.machine_checks()]


def test_what_is_wrong_is_said(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workflow.root)
    workflow.edit("config_workflow.yaml", "experiment: contrast", "experiment: contrst")
    monkeypatch.setattr(machine, "required", lambda: ["numpy", "not-there"])
    assert main(["doctor"]) == 2
    said = capsys.readouterr()
    assert "FAIL  packages       not installed: not-there; run make install, or pip install -e ." in said.out
    assert "FAIL  configuration  unknown experiment 'contrst'" in said.out
    assert said.err == "dynvision doctor: 2 of 7 checks failed\n"


def test_every_requirement_is_looked_for() -> None:
    assert {"torch", "pytorch-lightning", "pyyaml"} <= {*machine.required()}
    assert not {"ruff", "ffcv", "optuna"} & {*machine.required()}


def test_a_package_that_is_only_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_version", lambda name: "")
    with pytest.raises(InputError, match="dynvision itself is not installed here"):
        machine.packages()


def test_without_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="sbatch is not on the PATH; log in to a node of the cluster"):
        site.slurm()


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [
        ("infinite", float("inf")),
        ("30:00", 30),
        ("1:00:00", 60),
        ("2-12:00:00", 3600),
        ("1-00:30:30", 1470.5),
    ],
)
def test_limits_of_partitions(limit: str, minutes: float) -> None:
    assert site._minutes(limit) == minutes


def test_what_a_node_answers() -> None:
    assert site.shared_folder(ANSWERED).endswith("is written to and read on both sides")
    with pytest.raises(InputError, match="n1 does not see what is written here"):
        site.shared_folder({**ANSWERED, "read": ""})
    with pytest.raises(InputError, match="differ by 60 s"):
        site.shared_folder({**ANSWERED, "written_at": 1060.0})
    with pytest.raises(InputError, match="cannot be used on n1: No module named 'torch'"):
        site.environment_there({**ANSWERED, "error": "No module named 'torch'"})
    assert site.gpu_there(ANSWERED, SiteConfig(gpus=False)).startswith("not asked for")
    with pytest.raises(InputError, match="sees no GPU on n1 in a job that asked for one"):
        site.gpu_there(ANSWERED, SiteConfig())
    assert site.gpu_there({**ANSWERED, "gpus": ["H100"]}, SiteConfig()) == "H100"


def test_a_node_looks_around(tmp_path: Path) -> None:
    (tmp_path / QUESTION).write_text("token")
    began = time.time()
    look_around(tmp_path)
    answer = json.loads((tmp_path / ANSWER).read_text())
    assert answer["read"] == "token" and answer["error"] == "" and answer["torch"]
    ended = time.time()
    for name in ("its_time", "written_at"):  # by two clocks, that of a file system in coarse steps
        assert began - 1 <= answer[name] <= ended + 1


def test_the_number_of_failures(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> str:
        raise InputError("mend it")

    assert run_checks([Check("a", lambda: "fine"), Check("long name", fails)]) == 1
    assert capsys.readouterr().out == "ok    a          fine\nFAIL  long name  mend it\n"


def test_a_driver_that_does_not_answer_is_asked_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "TORCH_S", 0.01)
    with pytest.raises(InputError, match="PyTorch did not state within 0.01 s"):
        machine.ask_torch("input()")
    monkeypatch.setattr(machine.socket, "gethostname", lambda: "n1")
    look_around(tmp_path)  # on a compute node, too
    answer = json.loads((tmp_path / ANSWER).read_text())
    assert "PyTorch did not state" in answer["error"] and answer["gpus"] == []
