"""Closed-form cells that look at every n-th input and know how much time that is.

    x(t) = cell(input(t), x(t - n), s n elapsed)       at the last step of every n;      x stays as it is in between

n `stride_length`, s `time_scale_factor`, elapsed the time of one step in ms. As the elapsed time is part of the closed
form, one set of weights makes sense at every stride; cells of several strides side by side see a sequence on several time
scales.

Source: ours, after the "stride-aware CfC" that the page that :mod:`dynvision.neurons` names mentions; the cell is that of
Hasani et al. (2022), Nature Machine Intelligence 4:992.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dynvision.errors import InputError
from dynvision.neurons.cell import ElapsedTime, Module, of_each_step
from dynvision.neurons.cfc_cell import CfCCell
from dynvision.neurons.neuron import check_positive
from dynvision.neurons.rnn import check_sequence


class StrideAwareCfCCell(CfCCell):
    """A closed-form cell whose step is a stride.

    Args:
        input_size, hidden_size: as of :class:`CfCCell`.
        stride_length: steps of the input in a step of the cell, n >= 1.
        time_scale_factor: s > 0; above 1 time runs faster for the cell.
        **cfc_args: further arguments of :class:`CfCCell`.

    Raises:
        InputError: an argument is not possible.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        stride_length: int = 1,
        time_scale_factor: float = 1.0,
        **cfc_args: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, **cfc_args)
        if stride_length < 1:
            raise InputError(f"stride_length={stride_length} must be at least 1 step")
        check_positive(time_scale_factor=time_scale_factor)
        self.stride_length, self.time_scale_factor = stride_length, time_scale_factor

    def forward(  # type: ignore[override]
        self,
        inputs: Tensor,
        state: Tensor | None = None,
        elapsed_time: ElapsedTime = 1.0,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One stride; as of :meth:`CfCCell.forward`, with the `elapsed_time` of one step of the input, in ms."""
        scaled = elapsed_time * (self.stride_length * self.time_scale_factor)
        return super().forward(inputs, state, scaled, training)


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
        stride_length: int = 1,
        time_scale_factor: float = 1.0,
        return_sequences: bool = True,
        **cfc_args: Any,
    ) -> None:
        super().__init__()
        self.cell = StrideAwareCfCCell(input_size, hidden_size, stride_length, time_scale_factor, **cfc_args)
        self.return_sequences = return_sequences

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, elapsed_time: ElapsedTime | None = None
    ) -> tuple[Tensor, Tensor]:
        """All steps of a sequence.

        Args:
            inputs: (B, T, F). What is left over after the last whole stride is not looked at.
            state: what the call before returned, (B, N); None at the beginning. A sequence that is given in parts is to be
                cut between strides.
            elapsed_time: of each step, in ms: one number, (T,) or (B, T); None for 1. A stride is as long as its steps.

        Returns:
            Output, (B, T, N) or that of the last step, (B, N), and the state after it.

        Raises:
            InputError: an argument has another shape, or a time is no duration.
        """
        check_sequence(inputs)
        n = self.cell.stride_length
        times = of_each_step(1.0 if elapsed_time is None else elapsed_time, inputs)
        assert times is not None
        x = self.cell.start(inputs[:, 0], state)
        outputs = []
        for t in range(inputs.shape[1]):
            if (t + 1) % n == 0:
                mean = sum(times[t + 1 - n : t + 1]) / n
                _, x = self.cell(inputs[:, t], x, mean)
            outputs.append(x)
        return (torch.stack(outputs, dim=1) if self.return_sequences else x), x
