"""Which layers run as one operation in time: those whose temporal part is a leaky step, at most with a plain recurrence.

It is then a :func:`~dynvision.functional.recurrent_scan.recurrent_scan`, whose equations stand there; any other layer is
walked step by step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from dynvision.base.operations import Operation
from dynvision.base.plan import LayerPlan
from dynvision.functional.leaky_steps import Rectified
from dynvision.functional.recurrent_scan import Recurrence
from dynvision.model_components.solver import Solver


@dataclass(frozen=True)
class Scan:
    """What makes up a layer whose whole temporal part can run as one operation."""

    solver: Solver
    rectified: Rectified
    recurrence: Recurrence | None


def scan_of(plan: LayerPlan) -> Scan | None:
    """The scan of a layer with at most an additive convolutional recurrence, a leaky step and one rectification.

    The rectification stands right before or right behind the step; before it, the step must not be learned.
    """
    parts = [*plan.lateral, *plan.step]
    recurrence = None
    if parts and parts[0].kind == "recur":
        recurrence = _plain_recurrence(parts.pop(0).module)
        if recurrence is None:
            return None
    rectified: Rectified = "none"
    if len(parts) == 2:
        rectified = "drive" if _is_rectification(parts[0]) else "state"
        rectification = parts.pop(0 if rectified == "drive" else 1)
        if not _is_rectification(rectification):
            return None
    if len(parts) != 1:
        return None
    solver: Any = parts[0].module
    plain = isinstance(solver, Solver) and type(solver).forward is Solver.forward and solver.history == 0
    if not plain or (rectified == "drive" and solver.train_tau):
        return None
    return Scan(solver, rectified, recurrence)


def _is_rectification(operation: Operation) -> bool:
    return type(operation.module) is nn.ReLU


def _plain_recurrence(module: Any) -> Recurrence | None:
    """An additive recurrence by one convolution into the drive; None for any other."""
    conv = module.recurrence
    plain = isinstance(conv, nn.Conv2d) and type(conv).forward is nn.Conv2d.forward
    if not plain or module.recurrence_target != "output" or module.recurrence_merge != "additive":
        return None
    return Recurrence.of(conv, module.delay_steps)
