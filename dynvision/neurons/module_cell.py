"""A recurrent cell: one step of a network of units, with the state outside.

(output, state(t)) = cell(inputs(t), state(t - elapsed), elapsed)          elapsed in ms
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dynvision.errors import InputError
from dynvision.neurons.activations import find_activation
from dynvision.neurons.module import Module


class ModuleCell(Module):
    """What all cells share; a subclass has a `forward`.

    Args:
        input_size: features of the input, F.
        hidden_size: units, N.
        activation: name of the nonlinearity, see :data:`ACTIVATIONS`; ``self.activation`` is the function.

    Raises:
        InputError: a size is not positive, or the nonlinearity is not known.
    """

    def __init__(self, input_size: int, hidden_size: int, activation: str = "tanh") -> None:
        super().__init__()
        if input_size < 1 or hidden_size < 1:
            raise InputError(f"input_size={input_size}, hidden_size={hidden_size}: both must be at least 1")
        self.input_size, self.hidden_size = input_size, hidden_size
        self.activation = find_activation(activation)

    @property
    def state_size(self) -> int:
        """Numbers in the state of one element of the batch."""
        return self.hidden_size

    @property
    def output_size(self) -> int:
        """Features of the output."""
        return self.hidden_size

    def forward(self, inputs: Tensor, state: Any = None, **kwargs: Any) -> tuple[Tensor, Any]:
        """One step.

        Args:
            inputs: (B, F).
            state: what the last step returned, (B, N); None before the first.
            **kwargs: of cells in continuous time ``elapsed_time``, in ms, a number or (B,); of cells with dropout
                ``training``, which then counts instead of the module's own mode.

        Returns:
            Output (B, `output_size`) and the new state.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def reset_state(self, batch_size: int = 1) -> Tensor:
        """The state before the first input, zeros of (B, N), where the parameters are."""
        like = next(self.parameters(), torch.empty(0))
        return like.new_zeros(batch_size, self.state_size)

    def start(self, inputs: Tensor, state: Tensor | None) -> Tensor:
        """The state that a step starts from, (B, N): the one given, or that before the first input.

        Raises:
            InputError: inputs or state have another shape than this cell's.
        """
        if inputs.dim() != 2 or inputs.shape[1] != self.input_size:
            raise InputError(
                f"inputs of shape {tuple(inputs.shape)}: {type(self).__name__} takes (batch, {self.input_size}), one step; "
                f"RNN(cell) takes sequences"
            )
        if state is None:
            return self.reset_state(len(inputs))
        if state.shape != (len(inputs), self.state_size):
            raise InputError(
                f"state of shape {tuple(state.shape)}: {type(self).__name__} has ({len(inputs)}, {self.state_size}) here"
            )
        return state
