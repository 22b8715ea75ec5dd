"""What of a layer runs as one operation in time, and what step by step.

scan      drive, recurrence, leaky step and rectification of a whole block: a layer whose lateral and step parts are a
          leaky step, at most with a plain recurrence (:func:`~dynvision.functional.recurrent_scan.recurrent_scan`)
steps     the leaky steps of a sub-block whose drive is known, whatever made it; on a GPU
one by one   everything else whose next step needs the last one
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dynvision.base.frames import Frames
from dynvision.base.operations import Operation
from dynvision.functional.leaky_steps import Rectified
from dynvision.functional.maps import is_transformed
from dynvision.functional.recurrent_scan import Recurrence
from dynvision.model_components.solvers import Solver
from dynvision.model_components.timing import StatefulOperation

if TYPE_CHECKING:
    from dynvision.base.plan import LayerPlan, Plan

log = logging.getLogger(__name__)
_logged: set[tuple[tuple[str, tuple[str, ...]], ...]] = set()


@dataclass(frozen=True)
class Scan:
    """What makes up a layer whose whole temporal part can run as one operation."""

    solver: Solver
    rectified: Rectified
    recurrence: Recurrence | None


def scan_of(plan: LayerPlan) -> Scan | None:
    """The scan of a layer with at most an additive convolutional recurrence, a leaky step and one rectification.

    The rectification stands right before or right after the step; before it, the step must not be learned.
    """
    parts = [*plan.lateral, *plan.step]
    if any(operation.hooked for operation in parts):
        return None
    recurrence = None
    if parts and parts[0].kind == "recur" and parts[0].gain is None:
        recurrence = _plain_recurrence(parts.pop(0))
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
    plain = _is_leaky(solver) and type(solver).effective_drive is Solver.effective_drive
    if not plain or (rectified == "drive" and solver.train_tau):
        return None
    return Scan(solver, rectified, recurrence)


def steps_of(plan: LayerPlan) -> Scan | None:
    """The steps of a layer whose drive is known, as one operation: a leaky step of any scheme, rectified or not."""
    first, *others = plan.step or (None,)
    if first is None or not _is_leaky(first.module) or any(operation.hooked for operation in plan.step):
        return None
    if others and not (len(others) == 1 and _is_rectification(others[0])):
        return None
    solver: Any = first.module
    return Scan(solver, "state" if others else "none", None)


def effective_drive(solver: Solver, earlier: Sequence[Tensor], z: Frames) -> Tensor:
    """What a scheme makes of the drives of several steps.

    Args:
        solver: the scheme.
        earlier: drives before the first step, the newest first, as many as there are of those that the scheme uses.
        z: the drives.

    Returns:
        (n B, C, H, W), or (B, C, H, W) where it is the same at every step.
    """
    if not solver.history:
        return solver.effective_drive((z.values,))
    drives = [*earlier[::-1], *z.steps()]
    before, end = len(earlier), len(drives)
    whole = min(
        max(before, solver.history), end
    )  # steps before it are right after a start: they have fewer drives
    found = [solver.effective_drive(drives[t::-1]) for t in range(before, whole)]
    if whole < end:
        known = torch.cat(drives[whole - solver.history :])
        n = (end - whole) * z.batch
        lags = [known[lag * z.batch : lag * z.batch + n] for lag in range(solver.history, -1, -1)]
        found.append(solver.effective_drive(lags))
    return torch.cat(found)


def one_by_one(plan: LayerPlan) -> tuple[str, ...]:
    """The operations of a layer that run in a loop over steps on a GPU, too; empty if there is none."""
    loops = [
        operation
        for operation in plan.operations
        if operation.hooked
        or operation.kind in ("call", "timed")
        or normalizes_over_batch(operation.module)
        or (operation.kind == "stateful" and _without_own_run(operation.module))
    ]
    if scan_of(plan) is None and steps_of(plan) is None:
        loops += [
            operation
            for operation in plan.step
            if operation not in loops
            and not _is_rectification(operation)
            and not (operation.kind == "solve" and _is_leaky(operation.module))
        ]
    return tuple(operation.name for operation in loops)


def normalizes_over_batch(module: nn.Module) -> bool:
    """Whether anything in a module is normalised by the statistics of what it is given."""
    return any(isinstance(part, _BatchNorm) and part.training for part in module.modules())


def _without_own_run(module: nn.Module) -> bool:
    return isinstance(module, StatefulOperation) and (
        module.needs_activity or type(module).run is StatefulOperation.run
    )


def _is_leaky(module: nn.Module) -> bool:
    """Whether a module goes a part of the way to its effective drive, as the solvers but one do."""
    return isinstance(module, Solver) and type(module).forward is Solver.forward


def _is_rectification(operation: Operation) -> bool:
    return type(operation.module) is nn.ReLU


def _plain_recurrence(operation: Operation) -> Recurrence | None:
    """An additive recurrence by one convolution into the drive; None for any other."""
    module: Any = operation.module
    conv = module.recurrence
    plain = isinstance(conv, nn.Conv2d) and type(conv).forward is nn.Conv2d.forward
    if (
        not plain
        or operation.interpolated is not None
        or module.recurrence_target != "output"
        or module.recurrence_merge != "additive"
    ):
        return None
    return Recurrence.of(conv, operation.delay)


def runs_steps_at_once(z: Tensor) -> bool:
    """Whether leaky steps whose drive is known run as one operation.

    On a GPU they are then one kernel. A CPU gains 10 % at most, and its results stay as they were, to the last bit.
    """
    return z.is_cuda and not is_transformed()


def log_loops(plan: Plan) -> None:
    """Log once what of a plan runs in a loop over steps on a GPU."""
    if plan.loops and plan.loops not in _logged:
        _logged.add(plan.loops)
        told = "; ".join(f"{layer}: {', '.join(names)}" for layer, names in plan.loops)
        log.info("run step by step on the GPU, as operations that no kernel joins: %s", told)
