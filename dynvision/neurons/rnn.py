"""A cell over a sequence, and the two reference cells: leaky units, and long short-term memory.

    output(t), state(t) = cell(input(t), state(t-1), elapsed(t))          elapsed(t) how long input t lasts, in ms

    tau dr/dt = -r + phi(W x + U r + b)                                   CTRNNCell
    r(t) = h + (1 - exp(-d / tau)) (z - h),   z = phi(W x + U h + b),   h = r(t - d),   d = elapsed_time / ode_unfolds

r activity of the units, x inputs (held during a step), tau time constants in ms, one for each unit. Exponential Euler
steps: stable for every d, exact where U = 0, else first order in d. It is the rate equation of the convolutional networks
here (``nonlinearity_position: drive``) with dense weights. LSTM and LSTMCell are PyTorch's, with the axes and the state of
the other cells.

Source: Dayan & Abbott (2001), Theoretical Neuroscience, eq. 7.11, scheme as in
:mod:`dynvision.model_components.solvers`; Hochreiter & Schmidhuber (1997), Neural Computation 9:1735.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.neurons.cell import ElapsedTime, Module, ModuleCell, TimedCell, of_each_step


class RNN(Module):
    """A recurrent network of one cell.

    Args:
        cell: any cell of this package.
        return_sequences: return the output of every step; otherwise that of the last.

    Raises:
        InputError: `cell` is no cell.
    """

    def __init__(self, cell: ModuleCell | LSTMCell, return_sequences: bool = True) -> None:
        super().__init__()
        if not isinstance(cell, (ModuleCell, LSTMCell)):
            raise InputError(f"cell={cell!r} must be a cell of dynvision.neurons, e.g. CTRNNCell(4, 5)")
        self.cell, self.return_sequences = cell, return_sequences

    def forward(
        self,
        inputs: Tensor,
        state: Any = None,
        elapsed_time: ElapsedTime | None = None,
        training: bool | None = None,
    ) -> tuple[Tensor, Any]:
        """All steps of a sequence.

        Args:
            inputs: (B, T, F).
            state: what the call before returned, to resume from there; None at the beginning.
            elapsed_time: in ms: one number, (T,) or (B, T); None for what the cell has as default.
            training: whether dropout is active; None as the module's own mode.

        Returns:
            Output, (B, T, O) or that of the last step, (B, O), and the state after it.

        Raises:
            InputError: an argument has another shape, or a time is no duration.
        """
        check_sequence(inputs)
        outputs, state = self.cell.steps(inputs, state, of_each_step(elapsed_time, inputs), training)
        return (outputs if self.return_sequences else outputs[:, -1]), state


def check_sequence(inputs: Tensor) -> None:
    """Raises: InputError: inputs are not (B, T, F) with at least one step."""
    if not isinstance(inputs, Tensor):
        raise InputError(f"inputs are a {type(inputs).__name__}; give a tensor, e.g. by torch.as_tensor")
    if inputs.dim() != 3 or inputs.shape[1] == 0:
        raise InputError(
            f"inputs of shape {tuple(inputs.shape)}: a sequence is (batch, steps, features) with at least one step"
        )


class LSTM(nn.LSTM):
    """torch.nn.LSTM on (B, T, F): `batch_first` is on unless switched off; all else is torch's."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, **kwargs)


class LSTMCell(nn.LSTMCell):
    """torch.nn.LSTMCell that returns what cells return here: ``output, (h, c)``, with h the output.

    An LSTM counts steps and knows no time.
    """

    @property
    def output_size(self) -> int:
        return self.hidden_size

    def reset_state(self, batch_size: int = 1) -> tuple[Tensor, Tensor]:
        """The state before the first input, zeros."""
        zeros = self.weight_hh.new_zeros(2, batch_size, self.hidden_size)
        return zeros[0].clone(), zeros[1].clone()

    def forward(  # type: ignore[override]
        self,
        inputs: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
        elapsed_time: None = None,
        training: bool | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One step.

        Args:
            inputs: (B, F).
            state: the state (h, c) that the last step returned, each (B, N); None before the first.
            elapsed_time: refused.
            training: has no effect, since nothing differs in training.

        Raises:
            InputError: a time was given.
        """
        if elapsed_time is not None:
            raise InputError(
                "an LSTM counts steps and cannot use elapsed_time; give it as a feature of the input, or take CfCCell"
            )
        h, c = super().forward(inputs, state)
        return h, (h, c)

    steps = ModuleCell.steps


class CTRNNCell(TimedCell):
    """Leaky units with dense recurrence.

    Args:
        input_size: inputs, F.
        hidden_size: units, N.
        tau: time constant in ms, > 0, a number or one for each unit.
        train_tau: learn the time constants, one for each unit, always positive.
        ode_unfolds: Euler steps in each step.
        activation: phi, a name of :data:`ACTIVATIONS`.

    Raises:
        InputError: an argument is not possible.
    """

    log_tau: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        tau: float | Sequence[float] = 5.0,
        train_tau: bool = False,
        ode_unfolds: int = 6,
        activation: str = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size, activation)
        if ode_unfolds < 1:
            raise InputError(f"ode_unfolds={ode_unfolds} must be at least 1")
        taus = torch.as_tensor(tau, dtype=torch.get_default_dtype())
        if taus.shape not in ((), (hidden_size,)) or not bool(((taus > 0) & taus.isfinite()).all()):
            raise InputError(
                f"tau={tau} must be one positive number of ms, or one for each of the {hidden_size} units"
            )
        self.ode_unfolds = ode_unfolds
        log_tau = taus.log().expand(hidden_size).clone()
        if train_tau:
            self.log_tau = nn.Parameter(log_tau)
        else:
            self.register_buffer("log_tau", log_tau)
        self.input_weight = nn.Linear(input_size, hidden_size)
        self.recurrent_weight = nn.Linear(hidden_size, hidden_size, bias=False)

    @property
    def tau(self) -> Tensor:
        """Time constants in ms, (N,)."""
        return self.log_tau.exp()

    def advance(
        self, inputs: Tensor, state: Tensor, elapsed: ElapsedTime, training: bool | None
    ) -> tuple[Tensor, Tensor]:
        r = state
        gain = -torch.expm1(-(elapsed / self.ode_unfolds) / self.tau)
        received = self.input_weight(inputs)
        for _ in range(self.ode_unfolds):
            r = r + gain * (self.activation(received + self.recurrent_weight(r)) - r)
        return r, r
