"""Closed-form cell with a wiring: one closed-form layer for each layer of the wiring, one behind the other.

    x_l(t) = head_l([x_(l-1)(t), x_l(t - elapsed)], elapsed),         x_0 = input

The weights of a head are there where the wiring has a synapse, from the layer before and within the layer; besides, every
unit knows its own state. There is no backbone, through which a synapse could not be followed.

Source: the authors' package ncps 1.0.1, of Hasani et al. (2022), Nature Machine Intelligence 4:992. There, only f and g are
masked, and a layer is connected to all of itself; that the wiring decides on every weight: ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynvision.neurons.cfc_heads import make_head
from dynvision.neurons.elapsed_time import ElapsedTime, one_each
from dynvision.neurons.module_cell import ModuleCell
from dynvision.neurons.wiring import Wiring, built


class WiredCfCCell(ModuleCell):
    """Closed-form layers that are connected as a wiring says.

    Args:
        wiring: the synapses, and which units are the output.
        in_features: inputs, F; None where the wiring is built.
        mode: ``default``, ``no_gate`` or ``pure``.

    Raises:
        InputError: an argument is not possible, or the wiring does not fit.
    """

    place: Tensor

    def __init__(self, wiring: Wiring, in_features: int | None = None, mode: str = "default") -> None:
        adjacency, sensory = (synapses.abs() for synapses in built(wiring, in_features))
        super().__init__(len(sensory), wiring.units)
        self.wiring, self.mode = wiring, mode
        self.heads = nn.ModuleList()
        from_before = sensory
        for layer in wiring.layers:
            within = (adjacency[layer][:, layer] + torch.eye(len(layer))).clamp(max=1.0)
            mask = torch.cat([from_before[:, layer], within])
            self.heads.append(make_head(mode, len(mask), len(layer), mask))
            from_before = adjacency[layer]
        units = torch.tensor([unit for layer in wiring.layers for unit in layer])
        self.register_buffer(
            "place", units.argsort(), persistent=False
        )  # of each unit, in the order of the layers

    @property
    def output_size(self) -> int:
        return self.wiring.output_dim

    def forward(  # type: ignore[override]
        self, inputs: Tensor, state: Tensor | None = None, elapsed_time: ElapsedTime = 1.0
    ) -> tuple[Tensor, Tensor]:
        """One step.

        Args:
            inputs: (B, F).
            state: what the last step returned, (B, N); None before the first.
            elapsed_time: of the step, in ms, a number or (B,).

        Returns:
            Output (B, `output_size`), the first units, and the new state (B, N).

        Raises:
            InputError: an argument has another shape than this cell's.
        """
        before = self.start(inputs, state)
        elapsed, x, new = one_each(elapsed_time, inputs), inputs, []
        for head, layer in zip(self.heads, self.wiring.layers, strict=True):
            x = head(torch.cat([x, before[:, layer]], dim=1), elapsed)
            new.append(x)
        after = torch.cat(new, dim=1)[:, self.place]
        return after[:, : self.output_size], after
