"""A SLURM of two nodes on this machine, and a clone of the repository from which jobs are submitted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.workflow.conftest import REPOSITORY, SMALL, copy_workflow

SCRIPTS = Path(__file__).parent / "slurm"
NODES, CPUS, MEMORY_MB, GPUS = 2, 4, 6000, 2
SITE = {
    "environment": str(Path(sys.prefix)),
    "partition": "debug",
    "gpus": "false",
    "cpus": "2",
    "max_runtime": "10",
    "max_memory": "2000",
    "retries": "2",
    "poll_s": "4",
}


@dataclass(frozen=True)
class Cluster:
    """The cluster whose files are in a folder; nothing of it is left after `stop`."""

    folder: Path

    @classmethod
    def start(cls, folder: Path) -> Cluster:
        sizes = {"NODES": NODES, "CPUS": CPUS, "MEM": MEMORY_MB, "GPUS": GPUS}
        environment = {**os.environ, **{name: str(value) for name, value in sizes.items()}}
        subprocess.run([SCRIPTS / "up.sh", folder], env=environment, check=True, timeout=200)
        return cls(folder)

    def stop(self) -> None:
        subprocess.run([SCRIPTS / "down.sh", self.folder], check=True, timeout=120)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        here = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "MASTER_ADDR": "127.0.0.1",
        }  # n1 is no real host
        return {**kept, **here, "OMP_NUM_THREADS": "1"}

    def run(self, *command: object, cwd: Path | None = None) -> str:
        """What a command says; it must succeed."""
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environment,
            cwd=cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """State of every job in the queue by its id."""
        lines = self.run("squeue", "--noheader", "--format", "%i %T").splitlines()
        return dict(line.split() for line in lines)  # type: ignore[arg-type]

    def cancel_all(self) -> None:
        """Cancel all jobs, and wait for their end."""
        while jobs := self.jobs():
            self.run("scancel", "--quiet", *jobs)
            time.sleep(0.5)

    def show(self, job: str) -> dict[str, str]:
        """What SLURM knows of a job."""
        words = self.run("scontrol", "show", "job", "--details", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def ended(self, job: str) -> bool:
        return job not in self.jobs()

    def processes_of(self, node: str) -> list[int]:
        """The daemon of a node and everything that it has started."""
        daemon = int((self.folder / f"slurmd.{node}.pid").read_text())
        steps = [step for step in self._steps() if self._looked_after_by(step, node)]
        return sorted({process for step in (daemon, *steps) for process in (step, *_descendants(step))})

    def processes_of_job(self, job: str) -> list[int]:
        """What a job has started, without what looks after it."""
        return [
            process
            for step in self._steps(f"[{job}.")
            if any(self._looked_after_by(step, f"n{number + 1}") for number in range(NODES))
            for process in _descendants(step)
        ]

    def _steps(self, name: str = "[") -> list[int]:
        found = subprocess.run(
            ["pgrep", "--full", f"slurmstepd: {re.escape(name)}"], text=True, stdout=subprocess.PIPE
        )
        return [int(line) for line in found.stdout.split()]

    def _looked_after_by(self, step: int, node: str) -> bool:
        """Whether a step is on a node of this cluster, by the log that it writes to."""
        try:
            links = [str(link.readlink()) for link in Path(f"/proc/{step}/fd").iterdir()]
        except OSError:  # it has just ended, or is none of ours
            return False
        return f"{self.folder}/slurmd.{node}.log" in links

    def start_node(self, node: str) -> None:
        configuration = self.folder / "slurm.conf"
        subprocess.run(["/usr/sbin/slurmd", "-N", node, "-f", configuration], check=True, timeout=60)


def _descendants(process: int) -> list[int]:
    children = subprocess.run(
        ["ps", "--no-headers", "-o", "pid", "--ppid", str(process)], text=True, stdout=subprocess.PIPE
    )
    own = [int(line) for line in children.stdout.split()]
    return own + [further for child in own for further in _descendants(child)]


@dataclass(frozen=True)
class Clone:
    """The repository as a user has it after cloning and writing a site file."""

    root: Path
    images: Path
    cluster: Cluster

    @classmethod
    def make(cls, root: Path, images: Path, cluster: Cluster, **site: str) -> Clone:
        root.mkdir()
        copy_workflow(root, images)
        shutil.copytree(REPOSITORY / "cluster", root / "cluster")
        (root / "logs" / "slurm").mkdir(parents=True)
        clone = cls(root, images, cluster)
        clone.write_site(**site)
        return clone

    def write_site(self, **site: str) -> None:
        text = "".join(f"{name}: {value}\n" for name, value in {**SITE, **site}.items())
        (self.root / "cluster" / "site.yaml").write_text(text)

    def submit(self, *options: object, before: tuple[object, ...] = (), **config: str) -> str:
        """`sbatch cluster/snakejob.sh`; the id of the head job."""
        values = {"data_name": f"folder:{self.images}", **SMALL, "experiment": "contrast", **config}
        given = [f"{name}={value}" for name, value in values.items()]
        said = self.cluster.run(
            "sbatch",
            "--parsable",
            "--mem=500M",
            *before,
            "cluster/snakejob.sh",
            *options,
            "--config",
            *given,
            cwd=self.root,
        )
        return said.strip()

    def log(self, head: str) -> str:
        """What a head job has said so far."""
        path = self.root / "logs" / "slurm" / f"dynvision-{head}.out"
        return path.read_text() if path.exists() else ""

    def job_logs(self) -> str:
        """What all other jobs have said so far."""
        return "\n".join(
            path.read_text() for path in sorted((self.root / "logs" / "slurm" / "jobs").rglob("*.log"))
        )

    def wait(self, head: str, timeout_s: float = 420) -> str:
        """Wait for the end of a head job; what it said."""
        self.until(lambda: self.cluster.ended(head), timeout_s)
        return self.log(head)

    def until(self, condition: Callable[[], bool], timeout_s: float = 200) -> None:
        """Wait until something is so."""
        end = time.monotonic() + timeout_s
        while not condition():
            heads = "\n".join(path.read_text() for path in (self.root / "logs" / "slurm").glob("*.out"))
            assert time.monotonic() < end, f"it did not happen\n{heads}\n{self.job_logs()}"
            time.sleep(0.5)

    def training_jobs(self) -> list[str]:
        """Jobs of trainings that are in the queue."""
        lines = self.cluster.run("squeue", "--noheader", "--format", "%i %k %T").splitlines()
        return [line.split()[0] for line in lines if "train" in line.split()[1] and "COMPLETING" not in line]

    @property
    def results(self) -> Path:
        return self.root / "results"

    def training_log(self) -> str:
        """What trainings have said so far."""
        return "\n".join(
            path.read_text() for path in sorted((self.results / "logs" / "train").rglob("*.log"))
        )
