"""Leaky neurons one behind the other, each slower than the one before it.

    cm dh_i/dt = (I_i + w_i h_(i-1) - h_i) / tau_i - gleak h_i,        h_(-1) = 0,   tau_i = base_tau ratio^i

I_i input of neuron i in units of h, w_i weight of the connection from neuron i - 1; the rest is as of
:mod:`dynvision.neurons.ltc_neuron`. A neuron hears the new state of the one before it, as a layer does without feedforward
delay. A step of the first input therefore ends at h_i = I_0 w_1 .. w_i / prod_(k <= i) (1 + gleak tau_k).

Source: ours; the page that :mod:`dynvision.neurons` names says only that there is a chain with progressive time constants.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dynvision.errors import InputError
from dynvision.neurons.base_chain import BaseChain
from dynvision.neurons.ltc_neuron import LTCNeuron


class LTCChain(BaseChain):
    """A chain of :class:`LTCNeuron`.

    Args:
        num_neurons, base_tau, dt, tau_ratio: as of :class:`BaseChain`.
        gleak, cm: of every neuron, as of :class:`LTCNeuron`.
        weights: of the connections between neighbours, one number or N - 1; 0 leaves every neuron to its own input.

    Raises:
        InputError: an argument is not possible.
    """

    saved = (*BaseChain.saved, "weights")

    def __init__(
        self,
        num_neurons: int,
        base_tau: float = 1.0,
        dt: float = 0.01,
        gleak: float = 0.5,
        cm: float = 1.0,
        tau_ratio: float = 1.5,
        weights: float | Sequence[float] = 1.0,
    ) -> None:
        super().__init__(num_neurons, LTCNeuron, base_tau, dt, tau_ratio, gleak=gleak, cm=cm)
        n = num_neurons - 1
        self.weights = [float(w) for w in weights] if isinstance(weights, Sequence) else [float(weights)] * n
        if len(self.weights) != n:
            raise InputError(
                f"weights has {len(self.weights)} values; a chain of {num_neurons} neurons has {n} connections"
            )

    def update(self, input_signals: Tensor | Sequence[float]) -> Tensor:
        """Go one dt further; arguments and result as of :meth:`BaseChain.update`."""
        states: list[Tensor] = []
        for i, (neuron, signal) in enumerate(zip(self.neurons, self._inputs(input_signals), strict=True)):
            heard = signal if i == 0 else signal + self.weights[i - 1] * states[-1]
            states.append(torch.as_tensor(neuron.update(heard)))
        self.state_history.append(torch.stack(states))
        return self.state_history[-1]
