"""The parts of the package, from the bottom to the top, and what each file imports."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "dynvision"
# From the bottom to the top; a part imports from parts below it, and from itself.
LAYERS = (
    ("errors", "text"),
    ("registry", "parameter_names"),
    ("units", "files", "gpus", "trained"),
    ("plugins",),
    ("section", "functional"),
    ("config", "stimuli", "noise", "trials"),
    ("resources",),
    ("runs",),
    ("recordings",),
    ("model_components", "losses", "analysis"),
    ("base", "neurons"),
    ("models", "data"),
    ("training", "experiments", "inference"),
    ("dynamics",),
    ("visualization",),
    ("extend",),
    ("search", "sharing"),
    ("report",),
    ("cluster",),
    ("cli",),
)
# Definitions that carry their settings: `config` reads these and they read its smaller parts.
DEFINED_WITH_SETTINGS = {"config", "stimuli", "noise", "trials"}
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: str) -> str:
    """The part of the package that a module is in: ``dynvision.config.run`` is in ``config``.

    The base class of all sections is a part of its own, since definitions with settings are sections that ``config`` reads.
    """
    if module == "dynvision.config.section":
        return "section"
    return module.split(".")[1] if "." in module else ""


def module_of(path: Path) -> str:
    names = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


@cache
def imported(path: Path) -> list[str]:
    """Every module that a file imports, wherever in it; ``from a import b`` is ``a.b`` where that is a module."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_part = part_of(name) in LEVEL and node.module == "dynvision"
                found.append(name if is_part else str(node.module))
    return found
