"""`dynvision doctor --cluster` on a real SLURM: in order, and with one thing wrong at a time."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.cluster.slurm_cluster import Clone
from tests.processes import BIN

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]


def doctor(here: Clone, *options: str) -> tuple[int, dict[str, str]]:
    """Exit status, and what was said of each check, by its name."""
    command = [str(BIN / "dynvision"), "doctor", "--cluster", *options]
    done = subprocess.run(
        command, cwd=here.root, env=here.cluster.environment, capture_output=True, text=True, timeout=200
    )
    names = [
        "site file",
        "SLURM",
        "partitions",
        "account",
        "ended jobs",
        "head job",
        "a compute node",
        "environment there",
        "GPU there",
        "shared folder",
    ]
    lines = done.stdout.splitlines()
    said = {name: line.replace(name, "", 1) for line in lines for name in names if line[6:].startswith(name)}
    assert list(said) == names, done.stdout + done.stderr
    return done.returncode, {name: " ".join(text.split()) for name, text in said.items()}


def test_in_order(clone: Callable[..., Clone]) -> None:
    status, said = doctor(clone())
    assert status == 0 and all(text.startswith("ok ") for text in said.values()), said
    assert said["SLURM"].endswith("2 nodes") and said["partitions"] == "ok debug up"
    assert "PyTorch" in said["environment there"]


@pytest.mark.parametrize(
    ("site", "check", "message"),
    [
        ({"partition": "deubg"}, "partitions", "there is no partition 'deubg'; known: debug, urgent"),
        ({"environment": "/nowhere"}, "head job", "no Python in /nowhere; run make install"),
        ({"poll_s": "2000"}, "ended jobs", "SLURM forgets a job 3600 s after its end"),
        ({"gpus": "true"}, "GPU there", "PyTorch sees no GPU on"),  # those of this cluster are pretended
        ({"constraint": "cold"}, "a compute node", "sbatch --parsable failed: sbatch: error: Batch job"),
    ],
)
def test_one_thing_wrong(clone: Callable[..., Clone], site: dict[str, str], check: str, message: str) -> None:
    here = clone(**site)
    status, said = doctor(here)
    assert status == 2 and said[check].startswith("FAIL") and message in said[check], said
    assert said["SLURM"].startswith("ok")
    assert [path.name for path in (here.root / "logs" / "slurm").iterdir()] == []


def test_a_node_that_is_busy(clone: Callable[..., Clone]) -> None:
    here = clone()
    for node in ("n1", "n2"):
        here.cluster.run("sbatch", f"--nodelist={node}", "--cpus-per-task=4", "--mem=100", "--output=/dev/null",
                         "--wrap", "sleep 300")  # fmt: skip
    status, said = doctor(here, "--wait", "3")
    assert status == 2 and "after 3 s and was cancelled; try again later" in said["a compute node"]
