"""Commands inside an image, with a stand-in for Apptainer: how it is called, and that the workflow runs through it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dynvision.cluster.head import _image
from dynvision.cluster.settings import SiteConfig
from dynvision.resources import IMAGE, commands_folder
from tests.processes import BIN
from tests.workflow.conftest import REPOSITORY, Workflow

SHIM = REPOSITORY / "cluster" / "bin" / "dynvision"
# Writes down how it was called, and runs what stands behind the image.
STAND_IN = """#!/bin/bash
echo "$PWD" "$@" >> {folder}/called
while [[ "$1" != *.sif ]]; do shift; done
shift
PATH={bin}:$PATH exec "$@"
"""


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "apptainer"
    folder.mkdir()
    (folder / "apptainer").write_text(STAND_IN.format(folder=folder, bin=BIN))
    (folder / "apptainer").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    image = folder / "dynvision.sif"
    image.touch()
    monkeypatch.setenv(IMAGE, str(image))
    return image


def test_the_call(image: Path, tmp_path: Path) -> None:
    done = subprocess.run([SHIM, "train", "--help", "a b"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "train one run" in done.stdout.lower()
    gpu = "--nv " if Path("/dev/nvidiactl").exists() else ""
    call = f"{tmp_path} exec {gpu}--bind {tmp_path} --pwd {tmp_path} {image} dynvision train --help a b\n"
    assert (image.parent / "called").read_text() == call


def test_what_is_missing(image: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    image.unlink()
    done = subprocess.run([SHIM, "train"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        f"dynvision: there is no image {image}; build it with: apptainer build {image} cluster/dynvision.def\n",
    )
    (tmp_path / "bin").mkdir()
    for name in ("bash", "env"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    done = subprocess.run([SHIM, "train"], capture_output=True, text=True)
    assert done.returncode == 2 and "neither apptainer nor singularity is on the PATH" in done.stderr


def test_one_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("APPTAINER_BIND", raising=False)
    assert _image(SiteConfig()) == {}
    site = SiteConfig(environment="images/dynvision.sif", bind=("/data", "/more"))
    assert _image(site) == {IMAGE: f"{tmp_path}/images/dynvision.sif", "APPTAINER_BIND": "/data,/more"}
    monkeypatch.delenv(IMAGE, raising=False)
    assert commands_folder() == BIN
    monkeypatch.setenv(IMAGE, "x.sif")
    assert commands_folder() == tmp_path / "cluster" / "bin"


def test_rules_run_in_the_image(image: Path, workflow: Workflow) -> None:
    shutil.copytree(REPOSITORY / "cluster", workflow.root / "cluster")
    outcome = workflow.snakemake("--until", "convert_dataset")
    assert outcome.status == 0, outcome.said
    commands = [line.partition(".sif ")[2] for line in (image.parent / "called").read_text().splitlines()]
    assert [command.split()[:2] for command in sorted(commands)] == [
        ["dynvision", "config"],
        ["dynvision", "convert"],
    ]
