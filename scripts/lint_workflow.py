"""Run Snakemake's lint and fail on anything but the two remarks that this workflow answers otherwise.

- One environment serves all rules: `make install` or environment.yml makes it, so no rule names a conda environment.
- The section `execution` (loader, device, logger) cannot change a result. As a parameter of a rule it would make Snakemake
  train again when it changes, so commands take it from a variable of the Snakefile.
"""

import subprocess
import sys
from pathlib import Path

ANSWERED = (
    "Specify a conda environment or container for each rule.",
    "Shell command directly uses variable ",
)

snakemake = Path(sys.executable).parent / "snakemake"
done = subprocess.run([snakemake, "--lint", "text"], capture_output=True, text=True)
remarks, place = [], ""
for line in (done.stdout + done.stderr).splitlines():
    if line.startswith("Lints for "):
        place = line.removeprefix("Lints for ").rstrip(":")
    elif line.startswith("    * ") and not line.removeprefix("    * ").startswith(ANSWERED):
        remarks.append(f"{place}: {line.removeprefix('    * ').rstrip(':')}")
if done.returncode and not place:
    sys.exit(done.stdout + done.stderr)
print("\n".join(remarks) or "snakemake --lint: nothing to remark")
sys.exit(bool(remarks))
