"""The settings of a cluster: what ``cluster/site.yaml`` states, which no repository has, and Snakemake's profile for it.

python -m dynvision.cluster.settings      what the job script needs of the site, for a shell
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from pydantic import field_validator

from dynvision.config.section import Section, key, validate
from dynvision.config.yaml_text import read_yaml, to_yaml
from dynvision.errors import InputError
from dynvision.files import expanded, write_text

SITE_FILE = Path("cluster/site.yaml")
IMAGE_SUFFIX = ".sif"
BASE = Path("cluster/profiles/slurm/config.yaml")  # settings of Snakemake that hold on every cluster
ON_GPU = ("train", "experiment", "dynamics_of_run")  # rules that use a GPU where there is one


class SiteConfig(Section):
    """How jobs are submitted here. An empty text leaves a choice to the cluster."""

    environment: str = key(
        ".venv",
        "Python environment on the shared file system, or an Apptainer image (.sif) in which commands run",
        min_length=1,
    )
    bind: tuple[str, ...] = key((), "folders that are visible inside the image, beside the repository's")
    setup: str = key("", "a line of shell before everything else, e.g. module load apptainer")
    partition: str = key("", "partition of all jobs")
    gpu_partition: str = key("", "partition of jobs that use a GPU, where it is another one")
    account: str = key("", "account that is charged")
    qos: str = key("", "quality of service")
    constraint: str = key("", "features that a node must have")
    gpus: bool = key(True, "whether jobs ask for GPUs; false where there are none")
    gpu_type: str = key("", "kind of GPU, as in --gpus=<kind>:1")
    cpus: int = key(8, "most CPUs of a job", "CPUs", ge=1)
    max_runtime: int = key(1440, "longest job that is asked for, at any attempt", "min", ge=1)
    max_memory: int = key(64000, "most memory that is asked for, at any attempt", "MB", ge=500)
    max_jobs: int = key(50, "most jobs that are queued or running at the same time", "jobs", ge=1)
    retries: int = key(2, "further attempts of a job that failed, each with more memory and time", ge=0)
    poll_s: int = key(30, "time between looks at the queue", "s", ge=1)

    @field_validator("partition", "gpu_partition", "account", "qos", "constraint", mode="before")
    @classmethod
    def _names_may_be_digits(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("environment", mode="after")
    @classmethod
    def _environment_is_expanded(cls, value: str) -> str:
        return expanded(value, "environment")

    @field_validator("bind", mode="after")
    @classmethod
    def _folders_are_expanded(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(expanded(path, "bind") for path in value)

    @property
    def image(self) -> Path | None:
        """The image in which commands run, if it is one."""
        path = Path(self.environment)
        return path.absolute() if path.suffix == IMAGE_SUFFIX else None


def read_site(path: Path = SITE_FILE) -> SiteConfig:
    """Read the site file.

    Raises:
        InputError: it is missing, is not YAML, or has a key or value that is not known.
    """
    if not path.exists():
        raise InputError(
            f"site file {path} does not exist; copy cluster/site.example.yaml to it and fill it in"
        )
    try:
        return validate(SiteConfig, read_yaml(path), "")
    except InputError as error:
        raise InputError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None


def shell_variables(site: SiteConfig) -> str:
    """Return what the job script needs before there is an environment, as assignments for a shell, one a line."""
    names = ("setup", "environment", "partition", "account", "qos")
    return "\n".join(f"{name}={shlex.quote(getattr(site, name))}" for name in names)


def site_profile(base: dict[str, Any], site: SiteConfig, prefix: str, status_command: str) -> dict[str, Any]:
    """The settings of Snakemake for a site.

    Args:
        base: the settings that hold on every cluster.
        site: what holds on this one.
        prefix: what the names of all jobs begin with.
        status_command: ``sacct`` where jobs are accounted for, else ``squeue``.
    """
    everywhere = {
        "slurm_partition": site.partition,
        "slurm_account": site.account,
        "qos": site.qos,
        "constraint": site.constraint,
    }
    on_gpu: dict[str, Any] = {"gpu": 0}
    if site.gpus:
        on_gpu = {"slurm_partition": site.gpu_partition, "gpu_model": site.gpu_type}
    return {
        **base,
        "jobs": site.max_jobs,
        "cores": site.cpus,
        "retries": site.retries,
        "resources": {"runtime": site.max_runtime, "mem_mb": site.max_memory},
        # An empty mapping would not replace what Snakemake guesses from the size of inputs.
        "default-resources": {"tmpdir": "system_tmpdir", **_quoted(everywhere)},
        **({"set-resources": dict.fromkeys(ON_GPU, _quoted(on_gpu))} if _quoted(on_gpu) else {}),
        "set-threads": dict.fromkeys(ON_GPU, site.cpus),
        "slurm-status-command": status_command,
        "slurm-init-seconds-before-status-checks": site.poll_s,
        "slurm-jobname-prefix": prefix,
    }


def _quoted(values: dict[str, Any]) -> dict[str, Any]:
    """Resources as Snakemake reads them: it evaluates a text as Python, where that is possible."""
    return {
        name: repr(value) if isinstance(value, str) else value
        for name, value in values.items()
        if value != ""
    }


def write_profile(folder: Path, site: SiteConfig, prefix: str, status_command: str) -> Path:
    """Write the profile of a site.

    Returns:
        The folder, which is what ``--workflow-profile`` takes.
    """
    profile = site_profile(read_yaml(BASE), site, prefix, status_command)
    write_text(folder / "config.yaml", to_yaml(profile))
    return folder


if __name__ == "__main__":  # of cluster/snakejob.sh
    try:
        print(shell_variables(read_site()))
    except InputError as error:
        sys.exit(f"snakejob: {error}")
