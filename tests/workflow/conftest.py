"""A copy of the workflow's files with a few small images, and a finished run of all of it."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Outcome, run_forked, run_program

REPOSITORY = Path(__file__).parents[2]
FILES = ("Snakefile", "workflow", "config", "profiles")
# Two conditions and two experiments, all as small as they can be.
SMALL = {
    "model_name": '["DyRCNNx2"]',
    "model_args": "{rctype: [full, self], n_timesteps: 3, trc: 2}",
    "data": "{resolution: 8, n_channels: 1}",
    "training": "{epochs: 2, batch_size: 8}",
    "execution": "{loader: torch}",
    "experiment": '["contrast", "duration"]',
}


@dataclass(frozen=True)
class Workflow:
    """A folder with the workflow's files, in which Snakemake is called."""

    root: Path
    images: Path

    def snakemake(self, *options: object, **config: str) -> Outcome:
        """Call Snakemake on one core; ``config`` overrules the small configuration."""
        return run_program("snakemake", *self.arguments(*options, **config), cwd=self.root)

    def plan(self, *options: object, **config: str) -> Outcome:
        """Make a call that runs no job, which is cheaper in a fork."""
        return forked_snakemake(self.root, self.arguments(*options, **config))

    def arguments(self, *options: object, **config: str) -> list[str]:
        """The arguments of such a call."""
        values = {"data_name": f"folder:{self.images}", **SMALL, **config}
        given = [f"{name}={value}" for name, value in values.items()]
        return ["--cores", "1", *map(str, options), "--config", *given]

    def planned(self, **config: str) -> dict[str, int]:
        """The number of jobs of each rule that a call would run."""
        return jobs_of(self.plan("-n", **config))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a configuration file, as with an editor."""
        path = self.root / "config" / name
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def runs(self) -> list[str]:
        """Ids of the runs that are there."""
        return sorted(path.name for path in (self.results / "runs").iterdir())


def forked_snakemake(root: Path, arguments: list[str]) -> Outcome:
    """Call Snakemake in a folder, in a fork of this process, which takes a fourth of the time of a program."""
    import snakemake.cli  # once, before all forks

    def action() -> int:
        os.chdir(root)
        sys.argv = ["snakemake", *arguments]
        atexit._clear()  # of what is done at the end that of this call alone
        try:
            snakemake.cli.main(arguments)
        finally:
            atexit._run_exitfuncs()
        return 0

    return run_forked(action, root / ".fork.log")


def jobs_of(dry_run: Outcome) -> dict[str, int]:
    """The number of jobs of each rule, from what a dry run prints."""
    assert dry_run.status == 0, dry_run.said
    table = dry_run.said.partition("Job stats:")[2].partition("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


def copy_workflow(root: Path, images: Path) -> Workflow:
    """A new folder as a user has it after cloning."""
    for name in FILES:
        source = REPOSITORY / name
        shutil.copytree(source, root / name) if source.is_dir() else shutil.copy(source, root / name)
    return Workflow(root, images)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> tuple[Workflow, Outcome]:
    """A workflow after its first call, and what was said; only to be read."""
    workflow = copy_workflow(tmp_path_factory.mktemp("workflow"), digits)
    return workflow, workflow.snakemake()


@pytest.fixture
def workflow(tmp_path: Path, digits: Path) -> Workflow:
    """A workflow in which nothing has been run."""
    return copy_workflow(tmp_path, digits)


@pytest.fixture
def again(finished: tuple[Workflow, Outcome], tmp_path: Path) -> Workflow:
    """A copy of the finished workflow, to change something and call it again."""
    first, _ = finished
    root: Any = shutil.copytree(first.root, tmp_path / "again", symlinks=True)
    return Workflow(Path(root), first.images)
