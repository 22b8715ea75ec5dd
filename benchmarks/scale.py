"""A rehearsal of scale, dry: how long a sweep takes to plan, and how many jobs the queue sees.

    python -m benchmarks.scale 100 1000

plans sweeps of so many runs with two experiments each, as `snakemake -n` does, and prints a row for each: jobs of the
workflow, jobs that are submitted (those of a group are one), and CPU time of planning, as the sum of user and system time.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

EXPERIMENTS = '["contrast", "duration"]'
LOCAL = ("freeze_experiment", "freeze_visualization", "runs_table", "all")  # not submitted
GROUPED = ("freeze_data", "freeze_run", "analyse", "weights")  # each is part of a job that is counted once
PROFILE = "cluster/profiles/slurm"


def sweep(n_runs: int) -> str:
    """`model_args` with so many values of tau, on the grid of a float that prints as it is."""
    return f"{{tau: [{', '.join(f'{3 + index / 1000:.3f}' for index in range(n_runs))}]}}"


def plan(n_runs: int) -> tuple[int, int, float]:
    """Jobs of the workflow, jobs that are submitted, and CPU time in s."""
    before = _cpu_s()
    values = (f"model_args={sweep(n_runs)}", f"experiment={EXPERIMENTS}", "results_dir=results/scale")
    options = ("--dry-run", "--executor", "dryrun", "--workflow-profile", PROFILE, "--config", *values)
    snakemake = Path(sys.executable).parent / "snakemake"
    done = subprocess.run([snakemake, *options], capture_output=True, text=True, check=True)
    said = done.stdout + done.stderr
    table = said.partition("Job stats:")[2].partition("total")[0]
    counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    n_jobs = sum(counts.values())
    groups = len(re.findall(r"Group job experiments_\S+ \(jobs", said))
    alone = sum(n for name, n in counts.items() if name not in (*LOCAL, *GROUPED, "experiment"))
    return n_jobs, alone + groups, _cpu_s() - before


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table."""
    print(f"{'runs':>6} {'rules to run':>12} {'jobs in SLURM':>13} {'planning, CPU s':>15}")
    for n_runs in map(int, sys.argv[1:]):
        n_jobs, n_submitted, cpu_s = plan(n_runs)
        print(f"{n_runs:>6} {n_jobs:>12} {n_submitted:>13} {cpu_s:>15.1f}", flush=True)


if __name__ == "__main__":
    main()
