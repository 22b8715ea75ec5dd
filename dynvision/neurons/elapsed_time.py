"""How long an input lasts: the time from one state of a cell to the next, in ms."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dynvision.errors import InputError

ElapsedTime = float | Tensor


def one_each(elapsed_time: ElapsedTime, inputs: Tensor) -> ElapsedTime:
    """The elapsed time as it multiplies states of (B, N).

    Args:
        elapsed_time: in ms, >= 0: one for all, or (B,) or (B, 1), one for each element of the batch.
        inputs: of the step, (B, F); the time takes their type and place.

    Returns:
        A number, a tensor without axes or (B, 1).

    Raises:
        InputError: it has another shape, or is a number that is no duration. (Tensors are not read, so that a GPU need not
            wait; :class:`RNN` checks those of a whole sequence at once.)
    """
    if isinstance(elapsed_time, (int, float)):
        if not (math.isfinite(elapsed_time) and elapsed_time >= 0):
            raise InputError(f"elapsed_time={elapsed_time:g} ms must be zero or a positive number of ms")
        return elapsed_time
    times, n = torch.as_tensor(elapsed_time).to(inputs), len(inputs)
    if times.dim() == 0:
        return times
    if times.shape not in ((n,), (n, 1)):
        raise InputError(
            f"elapsed_time of shape {tuple(times.shape)}: give one number of ms, or one for each of the {n} elements "
            f"of the batch"
        )
    return times.reshape(n, 1)


def of_each_step(elapsed_time: ElapsedTime | None, inputs: Tensor) -> list[ElapsedTime] | None:
    """The elapsed time of every step of a sequence, as a cell takes it.

    Args:
        elapsed_time: in ms, >= 0: one number, (T,), or (B, T); None leaves it to the cell.
        inputs: the sequence, (B, T, F).

    Raises:
        InputError: it has another shape, or something in it is no duration.
    """
    if elapsed_time is None:
        return None
    n_batch, n_steps, _ = inputs.shape
    if isinstance(elapsed_time, (int, float)):
        return [elapsed_time] * n_steps
    times = torch.as_tensor(elapsed_time).to(inputs)
    if times.shape not in ((), (n_steps,), (n_batch, n_steps)):
        raise InputError(
            f"elapsed_time of shape {tuple(times.shape)}: give one number of ms, ({n_steps},) for the steps of the "
            f"sequence, or ({n_batch}, {n_steps}) for those of each element of the batch"
        )
    if not bool((torch.isfinite(times) & (times >= 0)).all()):
        raise InputError(
            "elapsed_time has negative or infinite values or NaN; it is how long an input lasts, in ms"
        )
    return list(times.expand(n_steps) if times.dim() == 0 else times.unbind(-1))
