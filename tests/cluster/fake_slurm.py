"""Commands of SLURM that keep their jobs in a file, for tests of what is asked of them and in which order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SQUEUE = """#!/bin/sh
cat {folder}/queue
"""
SCANCEL = """#!/bin/sh
echo scancel "$@" >> {folder}/asked
for id in "$@"; do sed -i "/^$id /d" {folder}/queue; done
"""
SCONTROL = """#!/bin/sh
echo scontrol "$@" >> {folder}/asked
[ "$1" != show ] || {{ echo "AccountingStorageType   = accounting_storage/none"; echo "MinJobAge   = 300 sec"; }}
"""
SBATCH = """#!/bin/sh
echo sbatch "$@" >> {folder}/asked
"""


class FakeSlurm:
    """A queue of lines ``<id> <state> <name>``, and what was asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "queue").touch()
        (folder / "asked").touch()
        scripts = {"squeue": SQUEUE, "scancel": SCANCEL, "scontrol": SCONTROL, "sbatch": SBATCH}
        for name, text in scripts.items():
            (folder / name).write_text(text.format(folder=folder))
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(self, *lines: str) -> None:
        (self.folder / "queue").write_text("".join(f"{line}\n" for line in lines))

    @property
    def queue(self) -> list[str]:
        return (self.folder / "queue").read_text().splitlines()

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()
