"""The commands of the README: what is cheap is run, what is long is planned, and what it names exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [line.partition(" #")[0].strip() for line in lines if line.strip()]


def of(program):
    found = [command for command in commands() if command.split()[0] == program]
    assert found, f"the README shows no command of {program}"
    return found


def run(arguments, **kwargs):
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, **kwargs)


@pytest.mark.parametrize("command", of("make"))
def test_targets_exist(command):
    assert run([*command.split(), "-n"]).returncode == 0


@pytest.mark.parametrize("command", of("snakemake"))
def test_workflow_commands_can_be_planned(command, tmp_path):
    # The images are the reader's own, so that only the rest of such a line can be checked.
    command = command.replace("data_name=folder:my/images", "data_name=digits")
    program, *arguments = shlex.split(command)
    arguments = [argument for argument in arguments if argument != "-n"]
    planned = run([BIN / program, *arguments, f"results_dir={tmp_path}", "-n", "--nolock"])
    assert planned.returncode == 0, planned.stderr
    assert "dry-run" in planned.stdout + planned.stderr


@pytest.mark.parametrize("command", of("dynvision"))
def test_commands_of_the_package_run(command):
    program, *arguments = shlex.split(command)
    assert run([BIN / program, *arguments]).returncode == 0


def test_python_example_runs():
    for block in blocks("python"):
        done = run([sys.executable, "-c", block + "\nassert logits.shape == (2, 20, 10)"])
        assert done.returncode == 0, done.stderr


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_length():
    assert len(README.splitlines()) <= 100, "two screens"


def test_no_command_is_left_out():
    assert {command.split()[0] for command in commands()} <= {"make", "snakemake", "dynvision", "source"}
    for command in commands():
        if command.startswith("source "):
            assert (BIN / Path(command.split()[1]).name).exists()
