"""The solvers by name."""

from __future__ import annotations

from dynvision.config.model import SOLVERS
from dynvision.model_components.solver import Solver

__all__ = ["SOLVERS", "find_solver"]


def find_solver(name: str) -> type[Solver]:
    """A solver class by name.

    Raises:
        InputError: the name is not known.
    """
    solver: type[Solver] = SOLVERS[name]
    return solver
