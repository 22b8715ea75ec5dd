"""The fast paths of the engine: what of a layer runs as one operation in time.

scan      drive, recurrence, leaky step and rectification of a whole block: a layer whose lateral and step parts are a
          leaky step, at most with a plain recurrence (:func:`~dynvision.functional.recurrent_scan.recurrent_scan`)
steps     the steps of a sub-block whose drive is known, whatever made it, suppression and supralinearity included
          (:func:`~dynvision.functional.unit_steps.scan`); on a GPU
one by one   everything else whose next step needs the last one
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dynvision.base.frames import Frames, Trace
from dynvision.base.operations import Operation
from dynvision.functional.leaky_steps import Rectified, has_kernel
from dynvision.functional.maps import is_transformed
from dynvision.functional.outlets import Outlets
from dynvision.functional.recurrent_scan import Recurrence, recurrent_scan
from dynvision.functional.unit_steps import Nonlinearity, UnitStep, scan
from dynvision.model_components.adaptation import IntrinsicSuppression
from dynvision.model_components.connection import PointwiseConnection
from dynvision.model_components.elementwise import SupraLinearity
from dynvision.model_components.solvers import LiquidStep, Solver
from dynvision.model_components.timing import StatefulOperation

if TYPE_CHECKING:
    from dynvision.base.plan import LayerPlan, Plan

log = logging.getLogger(__name__)
_logged: set[tuple[tuple[str, tuple[str, ...]], ...]] = set()


@dataclass(frozen=True)
class Scan:
    """Parts of a layer whose whole temporal part can run as one operation."""

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
        recurrence = plain_recurrence(parts.pop(0))
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


def pool_key(operation: Operation) -> Hashable:
    """What a max-pooling makes of maps: its kernel, stride and padding; None of another operation."""
    pool: Any = operation.module
    pools = type(pool) is nn.MaxPool2d and not operation.hooked
    return (pool.kernel_size, pool.stride, pool.padding) if pools else None


def pick_key(operation: Operation) -> Hashable:
    """What a connection makes of maps before its convolution: the resolution; None of one that does something else."""
    module: Any = operation.module
    plain = (
        isinstance(module, PointwiseConnection) and type(module).transform is PointwiseConnection.transform
    )
    return module.size if plain and not operation.hooked else None


def late_biases(
    plan: LayerPlan,
    signal: Frames | None,
    begin: int,
    traces: Mapping[str, Trace],
    outputs: Mapping[str, str],
) -> Sequence[nn.Conv2d]:
    """Convolutions at the end of a layer's drive, whose biases the kernel of the steps may add as well.

    Args:
        plan: of the layer.
        signal: the layer's input; None where there is none.
        begin: the first step; what has a bias must be there from it on.
        traces: the activity so far.
        outputs: the trace that others receive, by layer.
    """
    there = signal is not None and signal.first == begin < signal.end
    if not there or not has_kernel(signal.values):  # type: ignore[union-attr]
        return ()
    convs: list[nn.Conv2d] = []
    for operation in reversed(plan.block):
        module: Any = operation.module
        if operation.kind == "second_stage":
            return [*convs, module.conv2]
        if operation.kind == "first_stage":
            return [*convs, module.conv] if module.mid_modules is None and module.mid_nonlin is None else ()
        plain = operation.kind == "connect" and pick_key(operation) is not None and operation.gain is None
        if not plain or module.merge_name != "additive":
            return ()
        source = traces.get(outputs[module.source])
        if source is None or not source.pieces or source.pieces[0].first > begin - operation.reach:
            return ()
        convs += [] if module.conv is None else [module.conv]
    return ()


@dataclass(frozen=True)
class Wanted:
    """What others receive of a layer's activity that a scan can hand out beside it (:mod:`dynvision.functional.outlets`).

    Attributes:
        pool: the max-pooling after it.
        size: the resolution, (H, W), to which the connections from it resize.
    """

    pool: Operation | None
    size: Any

    def here(self, z: Tensor) -> Outlets:
        """What a scan with a drive like ``z`` hands out."""
        if not (has_kernel(z) and z.dim() == 4 and z.is_contiguous(memory_format=torch.channels_last)):
            return Outlets()
        from dynvision.functional.max_pool_triton import can_pool

        pool: Any = pool_key(self.pool) if self.pool and can_pool(self.pool.module, z) else None  # type: ignore
        if self.size is None:
            return Outlets(pool)
        (height, width), (rows, columns) = z.shape[-2:], self.size
        whole = height % rows == 0 and width % columns == 0 and rows * columns < height * width
        return Outlets(pool, (height // rows, width // columns) if whole else None)

    def keyed(self, pooled: Tensor | None, picked: Tensor | None) -> dict[Hashable, Tensor]:
        """What was handed out, by its keys."""
        found = {} if pooled is None or self.pool is None else {pool_key(self.pool): pooled}
        return found if picked is None else {**found, self.size: picked}


def outlets_of(plan: Plan, like: Tensor) -> dict[str, Wanted]:
    """What others receive of the layers of a plan; nothing where no kernel hands it out: of maps like ``like``."""
    wanted: dict[str, Wanted] = {}
    if not has_kernel(like):
        return wanted
    for layer in plan.layers:
        after = layer.output[0] if layer.output and layer.interpolated is None else None
        pool = after if after is not None and pool_key(after) is not None else None
        sizes = {
            pick_key(operation)
            for other in plan.layers
            for operation in other.operations
            if operation.kind == "connect" and operation.module.source == layer.name
        }
        size = sizes.pop() if len(sizes) == 1 else None
        if not layer.after and (pool is not None or size is not None):
            wanted[layer.name] = Wanted(pool, size)
    return wanted


@dataclass(frozen=True)
class Steps:
    """Parts of the steps of a layer whose drive is known, in this order."""

    suppression: Operation | None
    before: Nonlinearity
    solver: Solver
    after: Nonlinearity

    @property
    def makes_drive(self) -> bool:
        """Whether what the solver integrates is made within the steps."""
        return self.suppression is not None

    def run(
        self, drive: Tensor, z: Frames, last: Tensor | None, states: dict[Any, Any], layer: str
    ) -> Frames:
        """Run the steps of a piece of time.

        Args:
            drive: effective drive, (n B, C, H, W), or (B, C, H, W) where it is the same at every step.
            z: the piece.
            last: activity before the first step, (B, C, H, W); None for a layer that starts.
            states: of operations, by layer and name; that of the suppression is replaced.
            layer: the layer.
        """
        solver = self.solver
        liquid = isinstance(solver, LiquidStep)
        gain = widened(solver.dt / solver.tau if liquid else solver.gain(), drive.shape[1])
        if self.suppression is None and self.after.power is None and not liquid:
            rectified: Rectified = "state" if self.after.rectified else "none"
            return Frames(z.first, z.n, recurrent_scan(drive, z.n, z.batch, last, gain, rectified))
        key = (layer, "" if self.suppression is None else self.suppression.name)
        module: Any = self.suppression and self.suppression.module
        numbers = module and (module.rate, module.strength, module.offset)
        learned = [widened(number, drive.shape[1], 0.0) for number in solver.learned_numbers()]
        fixed = None if isinstance(gain, Tensor) else gain
        if isinstance(gain, Tensor):
            learned.append(gain)
        step = UnitStep(numbers, self.before, self.after, fixed, liquid)
        r, _, state = scan(step, drive, z.n, z.batch, last, states.get(key), learned)
        if state is not None:
            states[key] = state
        return Frames(z.first, z.n, r)


def widened(number: Any, channels: int, beside: float = 1.0) -> Any:
    """A number of each channel, (C, 1, 1), on maps of more channels; one of all channels is as it is.

    Args:
        number: the number, or numbers.
        channels: of the maps.
        beside: the number of channels of zeros, with which they stay zero: 1 for a gain, 0 for a conductance.
    """
    if not isinstance(number, Tensor) or number.numel() == 1:
        return number
    more = channels - len(number)
    return F.pad(number, (0, 0, 0, 0, 0, more), value=beside) if more else number


def steps_of(plan: LayerPlan) -> Steps | None:
    """The steps of a layer whose drive is known, as one operation.

    A leaky step, of any scheme where the drive is its own, or a liquid one; before it suppression and a nonlinearity,
    after it a nonlinearity, each of which may be missing.
    """
    parts = list(plan.step)
    if any(operation.hooked for operation in parts):
        return None
    suppressed = parts and type(parts[0].module) is IntrinsicSuppression
    suppression = parts.pop(0) if suppressed else None
    before = _take_nonlinearity(parts)
    if not parts or not (_is_leaky(parts[0].module) or type(parts[0].module) is LiquidStep):
        return None
    solver: Any = parts.pop(0).module
    after = _take_nonlinearity(parts)
    own_drive = suppression is None and before == Nonlinearity()
    if parts or not (own_drive or type(solver).effective_drive is Solver.effective_drive):
        return None
    return Steps(suppression, before, solver, after)


def _take_nonlinearity(parts: list[Operation]) -> Nonlinearity:
    """The rectification and the supralinearity that stand first; they are removed."""
    rectified = bool(parts) and _is_rectification(parts[0])
    if rectified:
        parts.pop(0)
    raised: Any = parts[0].module if parts and type(parts[0].module) is SupraLinearity else None
    if raised is None:
        return Nonlinearity(rectified)
    parts.pop(0)
    return Nonlinearity(rectified, (raised.n, raised.k))


def effective_drive(solver: Solver, earlier: Sequence[Tensor], z: Frames) -> Tensor:
    """Return the effective drives of several steps.

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
    at_once = plan.step if steps_of(plan) is not None else ()
    loops = [
        operation
        for operation in plan.operations
        if operation.hooked
        or operation.kind in ("call", "timed")
        or normalizes_over_batch(operation.module)
        or (operation.kind == "stateful" and _without_own_run(operation.module) and operation not in at_once)
    ]
    if scan_of(plan) is None and not at_once:
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


def plain_recurrence(operation: Operation) -> Recurrence | None:
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
        listed = "; ".join(f"{layer}: {', '.join(names)}" for layer, names in plan.loops)
        log.info("run step by step on the GPU, as operations that no kernel joins: %s", listed)
