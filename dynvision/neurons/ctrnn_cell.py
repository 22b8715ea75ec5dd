"""Continuous-time recurrent network: leaky units, the reference that the liquid cells are to be compared with.

    tau dr/dt = -r + phi(W x + U r + b)

    r(t) = h + (1 - exp(-d / tau)) (z - h),   z = phi(W x + U h + b),   h = r(t - d),   d = elapsed_time / ode_unfolds

r activity of the units, x inputs (held during a step), tau time constants in ms, one for each unit. Exponential Euler
steps: stable for every d, exact where U = 0, else first order in d. It is the rate equation of the convolutional networks
here (``nonlinearity_position: drive``) with dense weights.

Source: Dayan & Abbott (2001), Theoretical Neuroscience, eq. 7.11; scheme as in
:mod:`dynvision.model_components.exponential_euler`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.neurons.elapsed_time import ElapsedTime, one_each
from dynvision.neurons.module_cell import ModuleCell


class CTRNNCell(ModuleCell):
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

    def forward(  # type: ignore[override]
        self, inputs: Tensor, state: Tensor | None = None, elapsed_time: ElapsedTime = 1.0
    ) -> tuple[Tensor, Tensor]:
        """One step.

        Args:
            inputs: (B, F), held during the step.
            state: activity after the last step, (B, N); None before the first.
            elapsed_time: of the step, in ms, a number or (B,).

        Returns:
            The new activity (B, N), as output and as state.

        Raises:
            InputError: an argument has another shape than this cell's.
        """
        r = self.start(inputs, state)
        step = one_each(elapsed_time, inputs) / self.ode_unfolds
        gain = -torch.expm1(-step / self.tau)
        heard = self.input_weight(inputs)
        for _ in range(self.ode_unfolds):
            r = r + gain * (self.activation(heard + self.recurrent_weight(r)) - r)
        return r, r
