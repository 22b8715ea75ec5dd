"""Networks over sequences: any cell, the liquid and closed-form layers, and the two reference cells.

    output(t), state(t) = cell(input(t), state(t-1), elapsed(t))          elapsed(t) how long input t lasts, in ms

    LTC   a network of LTCCell(wiring, input_size)
    CfC   a network of CfCCell(input_size, units) or WiredCfCCell(wiring, input_size), with a projection of the output

With `mixed_memory` each step begins with one of a long short-term memory on the same input, whose output replaces the state
of the cell, so that gradients last longer.

The reference cells are PyTorch's long short-term memory, with the axes and the state of the other cells, and leaky units:

    tau dr/dt = -r + phi(W x + U r + b)                                   CTRNNCell
    r(t) = h + (1 - exp(-d / tau)) (z - h),   z = phi(W x + U h + b),   h = r(t - d),   d = elapsed_time / ode_unfolds

r activity of the units, x inputs (held during a step), tau time constants in ms, one for each unit. Exponential Euler
steps: stable for every d, exact where U = 0, else first order in d. It is the rate equation of the convolutional networks
here (``nonlinearity_position: drive``) with dense weights.

Source: Dayan & Abbott (2001), Theoretical Neuroscience, eq. 7.11, scheme as in
:mod:`dynvision.model_components.solvers`; Hochreiter & Schmidhuber (1997), Neural Computation 9:1735. LTC and CfC have the
names, arguments and computation of ``ncps.torch`` of the authors' package ncps 1.0.1; the mixed memory is that of
Lechner & Hasani (2020), arXiv:2006.04418.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.neurons.cell import ElapsedTime, Linear, Module, ModuleCell, TimedCell, of_each_step, run_steps
from dynvision.neurons.cfc_cell import CfCCell, WiredCfCCell
from dynvision.neurons.ltc_cell import LTCCell
from dynvision.neurons.wirings import FullyConnected, Wiring


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
        outputs, state = self.cell.steps(inputs, state, of_each_step(elapsed_time, inputs), training)
        return (outputs if self.return_sequences else outputs[:, -1]), state


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

    steps: Any = ModuleCell.steps  # one after the other


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


class CellLayer(Module):
    """The base of both layers.

    Args:
        cell: computes a step.
        return_sequences: return the output of every step; otherwise that of the last.
        batch_first: sequences are (B, T, F); otherwise (T, B, F).
        mixed_memory: put a long short-term memory before the cell.
        proj_size: features that the output is projected to; None leaves it.
    """

    def __init__(
        self,
        cell: ModuleCell,
        return_sequences: bool,
        batch_first: bool,
        mixed_memory: bool,
        proj_size: int | None = None,
    ) -> None:
        super().__init__()
        self.rnn_cell = cell
        self.return_sequences, self.batch_first = return_sequences, batch_first
        self.lstm = nn.LSTMCell(cell.input_size, cell.state_size) if mixed_memory else None
        if self.lstm is not None:  # the forget gate starts open
            nn.init.ones_(self.lstm.bias_ih[cell.state_size : 2 * cell.state_size])
        self.fc = nn.Identity() if proj_size is None else Linear(cell.output_size, proj_size)

    @property
    def input_size(self) -> int:
        """Features of the input."""
        return self.rnn_cell.input_size

    @property
    def state_size(self) -> int:
        """Units."""
        return self.rnn_cell.state_size

    @property
    def output_size(self) -> int:
        """Features of the output, before a projection."""
        return self.rnn_cell.output_size

    def forward(
        self, input: Tensor, hx: Any = None, timespans: ElapsedTime | Sequence[float] | None = None
    ) -> tuple[Tensor, Any]:
        """All steps of a sequence.

        Args:
            input: (B, T, F), or (T, B, F) without `batch_first`; (T, F) is one sequence without a batch.
            hx: state that the call before returned, (B, N), with mixed memory a pair of such; None at the beginning.
            timespans: how long each input lasts, in ms: one number, (T,), or of the shape of `input` without its last axis;
                None for 1.

        Returns:
            Output, of the axes of `input` or without that of time, and the state after the last step.

        Raises:
            InputError: an argument has another shape, or a time is no duration.
        """
        single = input.dim() == 2
        sequence = input[None] if single else input if self.batch_first else input.transpose(0, 1)
        state = self._batched(hx) if single else hx
        if self.lstm is not None and not (state is None or isinstance(state, (tuple, list))):
            raise InputError("a layer with mixed_memory takes the state as a pair (h, c), as it returned it")
        times = of_each_step(1.0 if timespans is None else self._times(timespans, sequence, single), sequence)
        outputs, state = self._steps(sequence, state, times)
        outputs = self.fc(outputs if self.return_sequences else outputs[:, -1])
        if single:
            return outputs[0], tuple(s[0] for s in state) if self.lstm is not None else state[0]
        return outputs.transpose(0, 1) if self.return_sequences and not self.batch_first else outputs, state

    def _steps(self, sequence: Tensor, state: Any, times: Sequence[ElapsedTime] | None) -> tuple[Tensor, Any]:
        if self.lstm is None:
            return self.rnn_cell.steps(sequence, state, times)
        first = (None, None) if state is None else state
        h, c = (self.rnn_cell.start(sequence[:, 0], part) for part in first)
        return run_steps(self._with_memory, sequence, (h, c), times, None)

    def _with_memory(
        self, x: Tensor, state: tuple[Tensor, Tensor], elapsed_time: ElapsedTime
    ) -> tuple[Tensor, Any]:
        """One step of the memory, and one of the cell from what it gives."""
        assert self.lstm is not None
        h, c = self.lstm(x, state)
        output, h = self.rnn_cell(x, h, elapsed_time)
        return output, (h, c)

    def _batched(self, hx: Any) -> Any:
        """The state of one sequence, as of a batch of one."""
        if hx is None:
            return None
        return tuple(each[None] for each in hx) if isinstance(hx, (tuple, list)) else hx[None]

    def _times(self, timespans: Any, sequence: Tensor, single: bool) -> Any:
        """Times as :func:`of_each_step` takes them."""
        if isinstance(timespans, (int, float)):
            return timespans
        times = torch.as_tensor(timespans).to(sequence)
        if times.dim() == (2 if single else 3) and times.shape[-1] == 1:
            times = times.squeeze(-1)
        if not (single or self.batch_first) and times.dim() == 2:
            times = times.T
        return times


class LTC(CellLayer):
    """A liquid time-constant network over sequences.

    Args:
        input_size: features of the input.
        units: a wiring, or the number of fully connected units.
        return_sequences, batch_first, mixed_memory: as of :class:`CellLayer`.
        input_mapping, output_mapping, ode_unfolds, epsilon, implicit_param_constraints: as of :class:`LTCCell`.

    Raises:
        InputError: an argument is not possible, or the wiring does not fit.
    """

    def __init__(
        self,
        input_size: int,
        units: Wiring | int,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        input_mapping: str | None = "affine",
        output_mapping: str | None = "affine",
        ode_unfolds: int = 6,
        epsilon: float = 1e-8,
        implicit_param_constraints: bool = True,
    ) -> None:
        wiring = units if isinstance(units, Wiring) else FullyConnected(units)
        cell = LTCCell(
            wiring,
            input_size,
            input_mapping,
            output_mapping,
            ode_unfolds,
            epsilon,
            implicit_param_constraints,
        )
        super().__init__(cell, return_sequences, batch_first, mixed_memory)


class CfC(CellLayer):
    """A closed-form continuous-time network over sequences.

    Args:
        input_size: features of the input.
        units: the number of units, or a wiring, for closed-form layers connected by it.
        proj_size, return_sequences, batch_first, mixed_memory: as of :class:`CellLayer`.
        mode, activation, backbone_units, backbone_layers, backbone_dropout: as of :class:`CfCCell`; None takes its
            default, and a wiring only the mode.

    Raises:
        InputError: an argument is not possible, or is not one of a network with a wiring.
    """

    def __init__(
        self,
        input_size: int,
        units: Wiring | int,
        proj_size: int | None = None,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        mode: str = "default",
        activation: str = "lecun_tanh",
        backbone_units: int | None = None,
        backbone_layers: int | None = None,
        backbone_dropout: float | None = None,
    ) -> None:
        backbone: dict[str, Any] = {
            "backbone_units": backbone_units,
            "backbone_layers": backbone_layers,
            "backbone_dropout": backbone_dropout,
        }
        given = {name: value for name, value in backbone.items() if value is not None}
        cell: ModuleCell
        if isinstance(units, Wiring):
            if given:
                raise InputError(f"{next(iter(given))} is not possible with a wiring, which has no backbone")
            cell = WiredCfCCell(units, input_size, mode)
        else:
            cell = CfCCell(input_size, units, mode, activation, **given)
        super().__init__(cell, return_sequences, batch_first, mixed_memory, proj_size)
