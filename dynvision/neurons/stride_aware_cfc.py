"""Closed-form cells that look at every n-th input and know how much time that is.

    x_g(t) = head_g(backbone([input(t), x(t - 1)]), s n_g elapsed)      at the last step of every n_g; x_g stays in between

n_g `stride_length` of group g of the units, s `time_scale_factor`, elapsed the time of one step in ms. As the elapsed time
is part of the closed form, one set of weights makes sense at every stride. With several strides, units are in as many
groups of equal size, one after the other, each on a time scale of its own; all groups see the input and the state of all.

Source: ours, after the "stride-aware CfC" that the page that :mod:`dynvision.neurons` names mentions; the cell is that of
Hasani et al. (2022), Nature Machine Intelligence 4:992; groups of units with clocks of their own are those of Koutnik,
Greff, Gomez & Schmidhuber (2014), A Clockwork RNN, ICML, without their order of the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dynvision.errors import InputError
from dynvision.neurons.cell import ElapsedTime, Module, of_each_step, one_each
from dynvision.neurons.cfc_cell import CfCCell
from dynvision.neurons.neuron import check_positive
from dynvision.neurons.rnn import check_sequence


class StrideAwareCfCCell(CfCCell):
    """A closed-form cell whose step is a stride.

    Args:
        input_size, hidden_size: as of :class:`CfCCell`.
        stride_length: steps of the input in a step of the cell, n >= 1; or one for each of several groups of units.
        time_scale_factor: s > 0; above 1 time runs faster for the cell.
        **cfc_args: further arguments of :class:`CfCCell`.

    Attributes:
        strides: of the groups.

    Raises:
        InputError: an argument is not possible.
    """

    stride_of_unit: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        stride_length: int | Sequence[int] = 1,
        time_scale_factor: float = 1.0,
        **cfc_args: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, **cfc_args)
        strides = list(stride_length) if isinstance(stride_length, Sequence) else [stride_length]
        if not strides or not all(type(n) is int and n >= 1 for n in strides):
            raise InputError(f"stride_length={stride_length} must be at least 1 step, or several such")
        if hidden_size % len(strides):
            raise InputError(
                f"hidden_size={hidden_size} units cannot be in {len(strides)} groups of equal size, one for each of "
                f"stride_length={stride_length}"
            )
        check_positive(time_scale_factor=time_scale_factor)
        self.strides, self.stride_length, self.time_scale_factor = strides, stride_length, time_scale_factor
        of_unit = torch.tensor(strides).repeat_interleave(hidden_size // len(strides))
        self.register_buffer("stride_of_unit", of_unit, persistent=False)

    def forward(  # type: ignore[override]
        self,
        inputs: Tensor,
        state: Tensor | None = None,
        elapsed_time: ElapsedTime = 1.0,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One stride of every group; as of :meth:`CfCCell.forward`, with the `elapsed_time` of one step, in ms."""
        elapsed = one_each(elapsed_time, inputs) * (self.stride_of_unit * self.time_scale_factor).to(inputs)
        return self.advance(inputs, self.start(inputs, state), elapsed, training)


class StrideAwareCfC(Module):
    """A stride-aware cell over a sequence.

    Args:
        input_size, hidden_size, stride_length, time_scale_factor, **cfc_args: as of :class:`StrideAwareCfCCell`.
        return_sequences: return the output of every step; otherwise that of the last.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        stride_length: int | Sequence[int] = 1,
        time_scale_factor: float = 1.0,
        return_sequences: bool = True,
        **cfc_args: Any,
    ) -> None:
        super().__init__()
        self.cell = StrideAwareCfCCell(input_size, hidden_size, stride_length, time_scale_factor, **cfc_args)
        self.return_sequences = return_sequences

    def forward(
        self,
        inputs: Tensor,
        state: Tensor | None = None,
        elapsed_time: ElapsedTime | None = None,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """All steps of a sequence.

        Args:
            inputs: (B, T, F). What is left over after the last whole stride is not looked at.
            state: what the call before returned, (B, N); None at the beginning. A sequence that is given in parts is to be
                cut between strides, of all groups.
            elapsed_time: of each step, in ms: one number, (T,) or (B, T); None for 1. A stride is as long as its steps.
            training: whether dropout is active; None as the module's own mode.

        Returns:
            Output, (B, T, N) or that of the last step, (B, N), and the state after it.

        Raises:
            InputError: an argument has another shape, or a time is no duration.
        """
        check_sequence(inputs)
        cell, n_batch = self.cell, len(inputs)
        times = of_each_step(1.0 if elapsed_time is None else elapsed_time, inputs)
        assert times is not None
        each = [torch.as_tensor(one_each(t, inputs[:, 0])).to(inputs).expand(n_batch, 1) for t in times]
        x = cell.start(inputs[:, 0], state)
        outputs = []
        for t in range(inputs.shape[1]):
            due = [n for n in cell.strides if (t + 1) % n == 0]
            if due:
                lasted = {n: torch.stack(each[t + 1 - n : t + 1]).sum(0) for n in set(due)}
                not_due = each[t]  # of which the result is not used
                size = cell.hidden_size // len(cell.strides)
                columns = [lasted.get(n, not_due).expand(n_batch, size) for n in cell.strides]
                elapsed = torch.cat(columns, dim=1) * cell.time_scale_factor
                _, new = cell.advance(inputs[:, t], x, elapsed, training)
                x = torch.where((t + 1) % cell.stride_of_unit == 0, new, x)
            outputs.append(x)
        return (torch.stack(outputs, dim=1) if self.return_sequences else x), x
