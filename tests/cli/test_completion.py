"""A shell that has read the script completes commands, options, choices and ids of runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dynvision.cli import COMMANDS
from dynvision.cli.completion import SHELLS
from tests.processes import run_program

ASK = """
source {script}
COMP_WORDS=({words} '{last}'); COMP_CWORD={n}
_shtab_dynvision
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "dynvision.bash"
    path.write_text(run_program("dynvision", "completion", "bash").said)
    return path


def completed(script: Path, *words: str, folder: Path | None = None) -> list[str]:
    """What bash offers for the last of some words."""
    *before, last = ("dynvision", *words)
    ask = ASK.format(script=script, words=" ".join(before), last=last, n=len(before))
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, cwd=folder, check=True)
    assert done.stderr == ""
    return sorted(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(script: Path, tmp_path: Path) -> None:
    assert completed(script, "") == sorted(COMMANDS)
    assert completed(script, "sc") == ["scorecard"]
    assert completed(script, "runs", "--res") == ["--results"]
    assert completed(script, "predict", "--format", "t") == ["table"]
    (tmp_path / "results" / "runs" / "DyRCNNx4_digits_s1_01234567").mkdir(parents=True)
    assert completed(script, "dynamics", "DyR", folder=tmp_path) == ["DyRCNNx4_digits_s1_01234567"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script(shell: str) -> None:
    outcome = run_program("dynvision", "completion", shell)
    assert outcome.status == 0 and "scorecard" in outcome.said
