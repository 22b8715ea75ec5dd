"""The tests of a GPU pass in one call: none of them forks, since a fork of a process that has used CUDA cannot use it."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.lab import forked_command
from tests.processes import run_forked

TESTS = Path(__file__).parents[1]
FORKS = {"fork", "run_forked", "get_context", "together"}


def of_a_gpu() -> list[Path]:
    """The modules with tests that need a GPU, and the conftest modules whose fixtures they can ask for."""
    marked = [
        path
        for path in sorted(TESTS.rglob("test_*.py"))
        if path != Path(__file__) and ("mark.gpu" in path.read_text() or "NEEDS_GPU" in path.read_text())
    ]
    shared = {folder / "conftest.py" for path in marked for folder in (path.parent, TESTS)}
    return [*marked, *sorted(path for path in shared if path.exists())]


def test_a_command_is_no_fork_where_tests_see_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_fork() -> Any:
        raise AssertionError("forked")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(os, "fork", no_fork)
    outcome = forked_command("models", log=tmp_path / "log")
    assert outcome.status == 0 and "DyRCNNx4" in outcome.said


def test_a_fork_is_refused_once_cuda_was_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(AssertionError, match="a fork cannot use CUDA"):
        run_forked(lambda: 0, tmp_path / "log")


@pytest.mark.parametrize("path", of_a_gpu(), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_no_module_with_tests_of_a_gpu_forks_by_itself(path: Path) -> None:
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Attribute, ast.Name))
    }
    assert not used & FORKS
