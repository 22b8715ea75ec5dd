"""A page of the documentation as a program: its fenced blocks, in their order, in a folder outside of the package.

    ```python                        run; all blocks of a page share their names
    ```yaml title="my/file.yaml"     written to this file, whatever the language
    ```bash                          run; a block that fails ends the page

Blocks of other languages, and code that is indented instead of fenced, are for reading only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
HELPERS = """
import subprocess
from pathlib import Path

def _write(name, text):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

def _run(command):
    subprocess.run(["bash", "-euc", command], check=True)
"""


def script_of(page: Path) -> str:
    """Return the program that a page is."""
    parts = [HELPERS]
    for language, title, code in FENCE.findall(page.read_text(encoding="utf-8")):
        if title:
            parts.append(f"_write({title!r}, {code!r})")
        elif language == "python":
            parts.append(code)
        elif language == "bash":
            parts.append(f"_run({code!r})")
    return "\n".join(parts)


def run_page(page: Path, folder: Path, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
    """Run a page in a folder, with the package on the path and nothing else of the repository."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {
        **os.environ,
        "PATH": programs,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
        "MPLBACKEND": "agg",
    }
    return subprocess.run(
        [sys.executable, "-c", script_of(page)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
