"""``dynvision doctor``: check this machine, or a cluster, before anything is run."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.errors import InputError


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "A line for each check: ok and what was found, or FAIL and what to do. Call it in the repository."
    )
    parser.add_argument(
        "--cluster",
        action="store_true",
        help="check cluster/site.yaml and SLURM too, with a small test job on a compute node",
    )
    parser.add_argument(
        "--wait", type=float, default=300, help="time that the small job may take, s (default: %(default)s)"
    )
    parser.add_argument("--node", type=Path, help=argparse.SUPPRESS)  # what the small job calls


def run_doctor(arguments: argparse.Namespace) -> None:
    """Check, and print a line for each check.

    Raises:
        InputError: a check failed.
    """
    if arguments.node is not None:
        from dynvision.cluster.machine import look_around

        look_around(arguments.node)
        return
    from dynvision.cluster.machine import machine_checks, run_checks

    checks = machine_checks()
    if arguments.cluster:
        from dynvision.cluster.site import site_checks

        checks += site_checks(arguments.wait)
    failed = run_checks(checks)
    if failed:
        raise InputError(f"{failed} of {len(checks)} checks failed")
