"""``dynvision completion``: the script with which a shell completes commands, options, files and ids of runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

SHELLS = ("bash", "zsh", "tcsh")
RUNS = "_dynvision_runs"
# What the script looks up each time, so that a run of a minute ago is completed too.
PREAMBLE = {
    "bash": f'{RUNS}() {{ compgen -W "$(ls results/runs 2> /dev/null)" -- "$1"; }}',
    "zsh": f"{RUNS}() {{ compadd -- results/runs/*(/N:t) }}",
}


def add_completion_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = (
        "For bash: dynvision completion bash > ~/.local/share/bash-completion/completions/dynvision; for zsh: dynvision "
        "completion zsh > ~/.zfunc/_dynvision, with that folder in fpath before compinit. A new shell knows it. Ids of "
        "runs are those in the folder results."
    )
    parser.add_argument("shell", choices=SHELLS, help="bash, zsh or tcsh")


def run_completion(arguments: argparse.Namespace) -> None:
    """Print the script."""
    import shtab  # 60 ms, which no other command needs

    from dynvision.cli import COMMANDS, build_parser

    parser = build_parser(COMMANDS)
    _name_what_completes(parser, shtab.FILE)
    print(shtab.complete(parser, shell=arguments.shell, preamble=PREAMBLE))  # type: ignore[arg-type]


def _name_what_completes(parser: argparse.ArgumentParser, files: Any) -> None:
    """Declare for each argument that takes a path or a run what stands in its place."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _name_what_completes(inner, files)
        elif action.type is Path:
            action.complete = files  # type: ignore[attr-defined]
        elif action.metavar == "RUN":
            action.complete = dict.fromkeys(PREAMBLE, RUNS)  # type: ignore[attr-defined]
