"""The profile with which Snakemake is called: ``cluster/profiles/slurm`` with the site on top of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynvision.config.site import SiteConfig
from dynvision.config.yaml_text import read_yaml, to_yaml
from dynvision.files import write_text

BASE = Path("cluster/profiles/slurm/config.yaml")
ON_GPU = ("train", "experiment", "dynamics_of_run")  # rules that use a GPU where there is one


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
