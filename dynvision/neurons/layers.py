"""Liquid and closed-form networks as layers: sequences in, sequences and the state out.

    LTC   RNN(LTCCell(wiring, input_size))
    CfC   RNN(CfCCell(input_size, units)) or RNN(WiredCfCCell(wiring, input_size)), with a projection of the output

With `mixed_memory` each step begins with one of a long short-term memory on the same input, whose output replaces the state
of the cell, so that gradients last longer.

Source: names, arguments and computation as ``ncps.torch.LTC`` and ``ncps.torch.CfC`` of the authors' package ncps 1.0.1;
the mixed memory is that of Lechner & Hasani (2020), arXiv:2006.04418.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.neurons.cell import ElapsedTime, Linear, Module, ModuleCell, of_each_step, run_steps
from dynvision.neurons.cfc_cell import CfCCell, WiredCfCCell
from dynvision.neurons.ltc_cell import LTCCell
from dynvision.neurons.rnn import check_sequence
from dynvision.neurons.wirings import FullyConnected, Wiring


class CellLayer(Module):
    """What both layers share.

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
        check_sequence(sequence)
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
