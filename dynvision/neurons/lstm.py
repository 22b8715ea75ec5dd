"""Long short-term memory, PyTorch's own, with the axes and the state of the other cells here.

Source: Hochreiter & Schmidhuber (1997), Neural Computation 9:1735; equations as in torch.nn.LSTM.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dynvision.errors import InputError


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
        zeros = self.weight_hh.new_zeros(batch_size, self.hidden_size)
        return zeros, zeros

    def forward(  # type: ignore[override]
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None, elapsed_time: None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One step.

        Args:
            input: (B, F).
            hx: the state (h, c) that the last step returned, each (B, N); None before the first.
            elapsed_time: refused.

        Raises:
            InputError: a time was given.
        """
        if elapsed_time is not None:
            raise InputError(
                "an LSTM counts steps and cannot use elapsed_time; give it as a feature of the input, or take CfCCell"
            )
        h, c = super().forward(input, hx)
        return h, (h, c)
