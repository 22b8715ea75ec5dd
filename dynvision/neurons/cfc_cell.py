"""Closed-form continuous-time cell: a liquid cell without a solver, for its solution in time is written down.

    x(t) = head(backbone([input, x(t - elapsed)]), elapsed)

The head is the closed form (:mod:`dynvision.neurons.cfc_heads`), the backbone some dense layers. One evaluation a step,
whatever the elapsed time (ms).

Source: Hasani, Lechner, Amini et al. (2022), Nature Machine Intelligence 4:992; sizes as in the authors' package ncps
1.0.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.neurons.cfc_heads import make_head
from dynvision.neurons.elapsed_time import ElapsedTime, one_each
from dynvision.neurons.module_cell import ModuleCell


class CfCCell(ModuleCell):
    """A closed-form continuous-time cell.

    Args:
        input_size: inputs, F.
        hidden_size: units, N.
        mode: ``default``, ``no_gate`` or ``pure``.
        activation: nonlinearity of the backbone, a name of :data:`ACTIVATIONS`.
        backbone_units: width of the backbone.
        backbone_layers: its layers; 0 for none.
        backbone_dropout: probability that a feature of the backbone is left out in training.

    Raises:
        InputError: an argument is not possible.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        mode: str = "default",
        activation: str = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        backbone_dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size, activation)
        if backbone_units < 1 or backbone_layers < 0 or not 0 <= backbone_dropout < 1:
            raise InputError(
                f"backbone_units={backbone_units}, backbone_layers={backbone_layers}, "
                f"backbone_dropout={backbone_dropout:g}: at least 1, at least 0, and in [0, 1)"
            )
        self.mode, self.backbone_dropout = mode, backbone_dropout
        sizes = [input_size + hidden_size] + [backbone_units] * backbone_layers
        pairs = zip(sizes, sizes[1:], strict=False)
        self.backbone = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairs])
        for layer in self.backbone:
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight)
        self.head = make_head(mode, sizes[-1], hidden_size)

    def forward(  # type: ignore[override]
        self,
        inputs: Tensor,
        state: Tensor | None = None,
        elapsed_time: ElapsedTime = 1.0,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One step.

        Args:
            inputs: (B, F).
            state: what the last step returned, (B, N); None before the first.
            elapsed_time: of the step, in ms, a number or (B,).
            training: whether features are left out; None as the module's own mode says.

        Returns:
            The new state (B, N), as output and as state.

        Raises:
            InputError: an argument has another shape than this cell's.
        """
        y = torch.cat([inputs, self.start(inputs, state)], dim=1)
        for layer in self.backbone:
            y = self.activation(layer(y))
            y = nn.functional.dropout(
                y, self.backbone_dropout, self.training if training is None else training
            )
        new_state = self.head(y, one_each(elapsed_time, inputs))
        return new_state, new_state
