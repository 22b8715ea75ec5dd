"""A page of the documentation as a program: its fenced blocks, in their order, in a folder outside of the package.

    ```python                        run; all blocks of a page share their names
    ```yaml title="my/file.yaml"     written to this file, whatever the language
    ```bash                          run; a block that fails ends the page

Blocks of other languages, and code that is indented instead of fenced, are for reading only.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.processes import BIN, Outcome, run_forked

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
HELPERS = """
import shlex
import subprocess
from pathlib import Path

from tests.docs.page_script import split_commands

def _write(name, text):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

def _run(block):
    commands = [shlex.split(command) for command in split_commands(block)]
    alone = any(part.startswith("plugins=") for command in commands for part in command)  # it may be imported already
    if not alone and all(command[0] == "dynvision" and not set(command) & set("|<>") for command in commands):
        from dynvision.cli import main  # what the program calls, without another start of Python
        for command in commands:
            assert main(command[1:]) == 0, command
    else:
        subprocess.run(["bash", "-euc", block], check=True)
"""


def split_commands(block: str) -> list[str]:
    """Return the commands of a block; one goes on over lines inside quotes and after a backslash."""
    commands, begun = [], ""
    for line in block.splitlines():
        begun = f"{begun}\n{line}" if begun else line
        if begun.count("'") % 2 == 0 and not begun.endswith("\\"):
            commands.append(begun)
            begun = ""
    return [command for command in commands if command.strip()]


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


def run_page(page: Path, folder: Path) -> Outcome:
    """Run a page in a folder, in a fork, with the package and the folder on the path."""

    def action() -> int:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        os.environ["PATH"] = os.pathsep.join([str(BIN), os.environ["PATH"]])
        os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{folder}"
        exec(compile(script_of(page), str(page), "exec"), {"__name__": "__main__"})
        return 0

    return run_forked(action, folder / ".said")
