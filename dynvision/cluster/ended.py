"""Why the cluster ended a job: what its log says when a limit was passed, and what to change then."""

from __future__ import annotations

import re
from pathlib import Path

# What SLURM writes into the log of a job that it ends, and what can be done.
ENDINGS = {
    r"DUE TO TIME LIMIT": "was over its time; raise max_runtime in cluster/site.yaml",
    r"Exceeded job memory limit|memory limit|oom[-_ ]kill|Out Of Memory|OUT_OF_MEMORY": (
        "was over its memory; raise max_memory in cluster/site.yaml"
    ),
    r"DUE TO NODE FAILURE|NODE FAILURE": "lost its node",
    r"DUE TO PREEMPTION": "was preempted",
}


def reasons(logs: Path, since: float) -> list[str]:
    """A sentence for each job that the cluster ended.

    Args:
        logs: folder with the logs of jobs, one a job, named ``<job id>.log`` in a folder named after what it did.
        since: time in s since the epoch; logs that were written before are passed over.
    """
    sentences = []
    for path in sorted(logs.rglob("*.log")):
        if path.stat().st_mtime < since:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for pattern, sentence in ENDINGS.items():
            if re.search(pattern, text):
                sentences.append(f"job {path.stem} ({path.relative_to(logs).parent}) {sentence}")
                break
    return sentences
