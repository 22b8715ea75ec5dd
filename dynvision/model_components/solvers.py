"""The solvers by name."""

from __future__ import annotations

from dynvision.errors import unknown_name
from dynvision.model_components.euler import EulerStep
from dynvision.model_components.exponential_euler import ExponentialEulerStep
from dynvision.model_components.liquid import LiquidStep
from dynvision.model_components.runge_kutta import RungeKuttaStep
from dynvision.model_components.solver import Solver

SOLVERS: dict[str, type[Solver]] = {
    "euler": EulerStep,
    "exponential_euler": ExponentialEulerStep,
    "rk4": RungeKuttaStep,
    "liquid": LiquidStep,
}


def find_solver(name: str) -> type[Solver]:
    """A solver class by name.

    Raises:
        InputError: the name is not known.
    """
    if name not in SOLVERS:
        raise unknown_name("dynamics_solver", name, SOLVERS, key="dynamics_solver")
    return SOLVERS[name]
