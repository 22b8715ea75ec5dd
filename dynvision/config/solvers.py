"""The solvers of leaky units by name. Each is imported when it is looked up, so that planning imports no torch."""

from __future__ import annotations

from typing import Any

from dynvision.registry import Registry

SOLVERS: Registry[Any] = Registry("solver", key="model_args.dynamics_solver")
for _name, _place in {
    "euler": "euler:EulerStep",
    "exponential_euler": "exponential_euler:ExponentialEulerStep",
    "rk4": "runge_kutta:RungeKuttaStep",
    "liquid": "liquid:LiquidStep",
}.items():
    SOLVERS.add(_name, f"dynvision.model_components.{_place}")
