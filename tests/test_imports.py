"""Imports run one way, and what a configuration needs never imports torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

from dynvision.cli import COMMANDS

PACKAGE = Path(__file__).parents[1] / "dynvision"
# From the bottom to the top; a part imports from parts below it, and from itself.
LAYERS = (
    ("errors", "former_names", "text"),
    ("registry",),
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

    The base class of all sections, and the names of connections that it reads, are a part of their own, since definitions
    with settings are sections that ``config`` reads.
    """
    if module in ("dynvision.config.section", "dynvision.config.connections"):
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


def test_every_part_of_the_package_has_a_layer() -> None:
    parts = {part_of(module_of(path)) for path in FILES} - {""}
    assert parts <= set(LEVEL)


def test_imports_run_one_way() -> None:
    against = []
    for path in FILES:
        own = part_of(module_of(path))
        ours = {part_of(name) for name in imported(path) if name.startswith("dynvision.")} - {own}
        ours -= DEFINED_WITH_SETTINGS if own in DEFINED_WITH_SETTINGS else set()
        found = sorted(part for part in ours if own in LEVEL and LEVEL[part] >= LEVEL[own])
        against += [f"{path.relative_to(PACKAGE)} must not import {part}" for part in found]
    assert not against


def test_tables_in_tables_out() -> None:
    """Measures, figures and the report know tables, not models."""
    for part in ("analysis", "visualization", "report"):
        for path in (PACKAGE / part).rglob("*.py"):
            roots = {name.split(".")[0] for name in imported(path)}
            parts = {part_of(name) for name in imported(path) if name.startswith("dynvision.")}
            assert not roots & {"torch", "pytorch_lightning", "ffcv"}, path
            assert not parts & {
                "models",
                "base",
                "model_components",
                "training",
                "experiments",
                "dynamics",
                "inference",
            }, path


def test_only_figures_draw() -> None:
    drawing = {"matplotlib", "seaborn"}
    draw = [path for path in FILES if drawing & {name.split(".")[0] for name in imported(path)}]
    assert {part_of(module_of(path)) for path in draw} <= {"visualization", "cli"}


HEAVY = (
    "torch",
    "pytorch_lightning",
    "ffcv",
    "pandas",
    "matplotlib",
    "seaborn",
    "sklearn",
    "scipy",
    "wandb",
    "numba",
)
LIGHT = (
    "dynvision",
    "dynvision.config",
    "dynvision.resources",
    "dynvision.runs",
    "dynvision.files",
    "dynvision.units",
    "dynvision.inference",
    "dynvision.cli",
)


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_a_configuration_needs_imports_nothing_heavy() -> None:
    files = [f"dynvision.cli.{name.replace('-', '_')}" for name in COMMANDS]
    statement = f"import {', '.join([*LIGHT, *files])}"
    loaded = loaded_after(statement)
    assert set(LIGHT) <= loaded
    assert not loaded & set(HEAVY)


def test_planning_imports_nothing_heavy() -> None:
    config = PACKAGE.parent / "config"
    loaded = loaded_after(f"from dynvision.runs import plan_workflow\nplan_workflow({str(config)!r}, {{}})")
    assert not loaded & {*HEAVY, "numpy"}


def test_a_model_needs_no_data_and_no_logger() -> None:
    loaded = loaded_after("import dynvision.models.dyrcnn")
    assert "torch" in loaded
    assert not loaded & {"seaborn", "pandas", "wandb", "ffcv", "sklearn"}


def test_a_class_has_a_name_of_its_own() -> None:
    homes: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module_of(path))
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}
