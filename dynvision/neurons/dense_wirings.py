"""Wirings without layers: all synapses, or a random part of them.

    FullyConnected   all N N and F N synapses
    Random           round((1 - sparsity_level) N N) and round((1 - sparsity_level) F N) of them, drawn without replacement

Two thirds of the synapses are excitatory.

Source: after the authors' package ncps 1.0.1 (Lechner et al. 2020, Nature Machine Intelligence 2:642, compare with such).
"""

from __future__ import annotations

import numpy as np

from dynvision.errors import InputError
from dynvision.neurons.wiring import Signs, Wiring, check_units, draw_signs

EXCITATORY = 2 / 3


class FullyConnected(Wiring):
    """Every unit and every input to every unit.

    Args:
        units: N.
        output_dim: units that are the output; None for all.
        self_connections: also from every unit to itself.
        seed: of the signs.
    """

    def __init__(
        self, units: int, output_dim: int | None = None, self_connections: bool = True, seed: int = 1111
    ) -> None:
        check_units(units)
        self.seed = seed
        signs = draw_signs(np.random.default_rng([seed, 0]), (units, units), EXCITATORY)
        super().__init__(
            signs if self_connections else signs * (1 - np.eye(units, dtype=int)), None, output_dim
        )

    def _draw_sensory(self, input_dim: int) -> Signs:
        return draw_signs(np.random.default_rng([self.seed, 1]), (input_dim, self.units), EXCITATORY)


class Random(Wiring):
    """A random part of all synapses.

    Args:
        units: N.
        output_dim: units that are the output; None for all.
        sparsity_level: part of the synapses that is absent, in [0, 1).
        seed: of the synapses and their signs.

    Raises:
        InputError: the sparsity is not possible.
    """

    def __init__(
        self, units: int, output_dim: int | None = None, sparsity_level: float = 0.5, seed: int = 1111
    ) -> None:
        check_units(units)
        if not 0 <= sparsity_level < 1:
            raise InputError(
                f"sparsity_level={sparsity_level:g} must be in [0, 1): the part of synapses that is absent"
            )
        self.sparsity_level, self.seed = sparsity_level, seed
        super().__init__(self._draw(np.random.default_rng([seed, 0]), units, units), None, output_dim)

    def _draw(self, rng: np.random.Generator, n_from: int, n_to: int) -> Signs:
        n = n_from * n_to
        present = rng.permutation(n) < round((1 - self.sparsity_level) * n)
        return (draw_signs(rng, n, EXCITATORY) * present).reshape(n_from, n_to)

    def _draw_sensory(self, input_dim: int) -> Signs:
        return self._draw(np.random.default_rng([self.seed, 1]), input_dim, self.units)
