"""Imports run one way, and what a configuration needs never imports torch."""

from __future__ import annotations

import ast
import subprocess
import sys

from dynvision.cli import FILES as COMMAND_FILES
from tests.parts import DEFINED_WITH_SETTINGS, FILES, LEVEL, PACKAGE, imported, module_of, part_of


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
    files = [f"dynvision.cli.{file}" for file in COMMAND_FILES]
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
