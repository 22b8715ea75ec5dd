"""Tests stand alone: what several of them use is in a helper module or a conftest, and no order is left to chance."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parent
NODES = {
    path.relative_to(TESTS).as_posix(): list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    for path in sorted(TESTS.rglob("*.py"))
}


def test_nothing_is_imported_from_a_module_of_tests() -> None:
    imports = [
        (name, node) for name, nodes in NODES.items() for node in nodes if isinstance(node, ast.ImportFrom)
    ]
    assert [
        name for name, node in imports if (node.module or "").rpartition(".")[2].startswith("test_")
    ] == []


def test_cases_have_a_fixed_order() -> None:
    """Cases of sets are collected in another order by each process, so that several cannot share them."""
    unordered = []
    for name, nodes in NODES.items():
        for node in nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "pytest.mark.parametrize",
                "pytest.fixture",
            ):
                cases = [
                    *node.args[1:2],
                    *(word.value for word in node.keywords if word.arg in ("argvalues", "params")),
                ]
                if any(
                    isinstance(case, (ast.Set, ast.SetComp))
                    or ast.unparse(case).startswith(("set(", "frozenset("))
                    for case in cases
                ):
                    unordered.append(f"{name}, line {node.lineno}")
    assert unordered == []
