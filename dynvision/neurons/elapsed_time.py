"""How long an input lasts: the time from one state of a cell to the next, in ms."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dynvision.errors import InputError

ElapsedTime = float | Tensor


def one_each(elapsed_time: ElapsedTime, batch_size: int) -> ElapsedTime:
    """The elapsed time as it multiplies states of (B, N).

    Args:
        elapsed_time: in ms, >= 0: one for all, or (B,) or (B, 1), one for each element of the batch.
        batch_size: B.

    Returns:
        A number, a tensor without axes or (B, 1).

    Raises:
        InputError: it has another shape, or is a number that is no duration. (Tensors are not read, so that a GPU need not
            wait; :class:`RNN` checks those of a whole sequence at once.)
    """
    if not isinstance(elapsed_time, Tensor):
        if not (math.isfinite(elapsed_time) and elapsed_time >= 0):
            raise InputError(f"elapsed_time={elapsed_time:g} ms must be zero or a positive number of ms")
        return elapsed_time
    if elapsed_time.dim() == 0:
        return elapsed_time
    if elapsed_time.shape not in ((batch_size,), (batch_size, 1)):
        raise InputError(
            f"elapsed_time of shape {tuple(elapsed_time.shape)}: give one number of ms, or one for each of the "
            f"{batch_size} elements of the batch"
        )
    return elapsed_time.reshape(batch_size, 1)


def of_each_step(elapsed_time: ElapsedTime | None, batch_size: int, n_steps: int) -> list[ElapsedTime] | None:
    """The elapsed time of every step of a sequence, as a cell takes it.

    Args:
        elapsed_time: in ms, >= 0: one number, (T,), or (B, T); None leaves it to the cell.
        batch_size, n_steps: B and T.

    Raises:
        InputError: it has another shape, or something in it is no duration.
    """
    if elapsed_time is None:
        return None
    if not isinstance(elapsed_time, Tensor):
        return [elapsed_time] * n_steps
    if elapsed_time.shape not in ((), (n_steps,), (batch_size, n_steps)):
        raise InputError(
            f"elapsed_time of shape {tuple(elapsed_time.shape)}: give one number of ms, ({n_steps},) for the steps of the "
            f"sequence, or ({batch_size}, {n_steps}) for those of each element of the batch"
        )
    if not bool((torch.isfinite(elapsed_time) & (elapsed_time >= 0)).all()):
        raise InputError(
            "elapsed_time has negative or infinite values or NaN; it is the time since the last input, in ms"
        )
    return list(elapsed_time.expand(n_steps) if elapsed_time.dim() == 0 else elapsed_time.unbind(-1))
