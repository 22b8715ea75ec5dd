"""A cell over a sequence: (B, T, F) in, (B, T, O) out, with the time of every step.

output(t), state(t) = cell(input(t), state(t-1), elapsed(t))          elapsed(t) how long input t lasts, in ms
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dynvision.errors import InputError
from dynvision.neurons.elapsed_time import ElapsedTime, of_each_step
from dynvision.neurons.lstm import LSTMCell
from dynvision.neurons.module import Module
from dynvision.neurons.module_cell import ModuleCell


class RNN(Module):
    """A recurrent network of one cell.

    Args:
        cell: any cell of this package.
        return_sequences: return the output of every step; otherwise that of the last.
    """

    def __init__(self, cell: ModuleCell | LSTMCell, return_sequences: bool = True) -> None:
        super().__init__()
        self.cell, self.return_sequences = cell, return_sequences

    def forward(
        self, inputs: Tensor, state: Any = None, elapsed_time: ElapsedTime | None = None
    ) -> tuple[Tensor, Any]:
        """All steps of a sequence.

        Args:
            inputs: (B, T, F).
            state: what the call before returned, to go on from there; None at the beginning.
            elapsed_time: in ms: one number, (T,) or (B, T); None for what the cell has as default.

        Returns:
            Output, (B, T, O) or that of the last step, (B, O), and the state after it.

        Raises:
            InputError: an argument has another shape, or a time is no duration.
        """
        check_sequence(inputs)
        times = of_each_step(elapsed_time, inputs)
        outputs = []
        for t, x in enumerate(inputs.unbind(1)):
            output, state = (
                self.cell(x, state) if times is None else self.cell(x, state, elapsed_time=times[t])
            )
            outputs.append(output)
        return (torch.stack(outputs, dim=1) if self.return_sequences else outputs[-1]), state


def check_sequence(inputs: Tensor) -> None:
    """Raises: InputError: inputs are not (B, T, F) with at least one step."""
    if inputs.dim() != 3 or inputs.shape[1] == 0:
        raise InputError(
            f"inputs of shape {tuple(inputs.shape)}: a sequence is (batch, steps, features) with at least one step"
        )
