"""Kernels are compiled on a GPU alone: names that Triton's compiler refuses are looked for in their text."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

FUNCTIONAL = Path(__file__).parents[1] / "dynvision" / "functional"
KNOWN = {"tl", *dir(builtins)}


def kernels(module: ast.Module) -> Iterator[ast.FunctionDef]:
    """The functions of a module that Triton compiles."""
    functions = (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef))
    for function in functions:
        if any(ast.unparse(decorator).startswith("triton.jit") for decorator in function.decorator_list):
            yield function


def kernels_of(name: str) -> set[str]:
    """Names of the kernels of a module of the package; nothing of another."""
    path = FUNCTIONAL.parents[1].joinpath(*name.split(".")).with_suffix(".py")
    if not name.startswith("dynvision.functional.") or not path.exists():
        return set()
    return {function.name for function in kernels(ast.parse(path.read_text()))}


def refused(module: ast.Module) -> list[str]:
    """Names in kernels that are neither theirs, nor of kernels, nor constants of their file that Triton may read."""
    constants = {
        target.id
        for statement in module.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.value).startswith("tl.constexpr(")
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    others = {function.name for function in kernels(module)}
    imported = {
        alias.asname or alias.name
        for statement in module.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
        if alias.name in kernels_of(statement.module or "")
    }
    found = []
    for function in kernels(module):
        body = [node for statement in function.body for node in ast.walk(statement)]
        names = [node for node in body if isinstance(node, ast.Name)]
        own = {argument.arg for argument in function.args.args}
        own |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
        allowed = own | others | constants | imported | KNOWN
        found += [f"{function.name}: {node.id}" for node in names if node.id not in allowed]
    return found


FILES = sorted(path for path in FUNCTIONAL.glob("*.py") if "triton.jit" in path.read_text())


def test_there_are_kernels() -> None:
    assert len(FILES) >= 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_kernel_reads_nothing_but_what_triton_can(path: Path) -> None:
    assert refused(ast.parse(path.read_text())) == []


def test_an_annotation_within_a_kernel_is_found() -> None:
    text = "from typing import Any\n@triton.jit\ndef kernel(x):\n    found: Any = ()\n    return found\n"
    assert refused(ast.parse(text)) == ["kernel: Any"]


def test_what_is_imported_and_no_kernel_is_found() -> None:
    imports = "from dynvision.functional.leaky_steps_triton import BLOCK, channel_of\n"
    assert refused(ast.parse(imports + "@triton.jit\ndef kernel(x):\n    return channel_of(x, BLOCK)\n")) == [
        "kernel: BLOCK"
    ]
