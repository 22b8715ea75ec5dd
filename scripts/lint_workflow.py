"""Run Snakemake's lint and fail on anything but the two remarks that this workflow answers otherwise.

- One environment serves all rules: `make install` or environment.yml makes it, so no rule names a conda environment.
- The section `execution` (loader, device, logger) cannot change a result. As a parameter of a rule it would make Snakemake
  train again when it changes, so commands take it from a variable of the Snakefile.
"""

import json
import subprocess
import sys
from pathlib import Path

ANSWERED = ("Specify a conda environment or container for each rule.", "Shell command directly uses variable ")

snakemake = Path(sys.executable).parent / "snakemake"
done = subprocess.run([snakemake, "--lint", "json"], capture_output=True, text=True)
try:
    found = json.loads(done.stdout)
except json.JSONDecodeError:
    sys.exit(done.stdout + done.stderr)
remarks = [
    f"{place.get('rule') or place.get('snakefile')}: {lint['title']}"
    for kind in ("rules", "snakefiles")
    for place in found.get(kind, [])
    for lint in place["lints"]
    if not lint["title"].startswith(ANSWERED)
]
print("\n".join(remarks) or "snakemake --lint: nothing to remark")
sys.exit(bool(remarks))
