"""Which unit is connected to which, and with which sign.

    A[i, j] in {-1, 0, 1}       synapse from unit i to unit j: inhibitory, absent, excitatory       (N, N)
    S[i, j] in {-1, 0, 1}       synapse from input i to unit j                                      (F, N)

The first `output_dim` units are the output. A wiring is drawn from its seed alone: the same arguments, the same synapses.
The names are those of the authors' package ncps, so that its users find them; what is drawn is not the same for a seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dynvision.errors import InputError

Signs = NDArray[np.int64]


class Wiring:
    """A wiring given as matrices, e.g. a measured one; subclasses draw theirs.

    Args:
        adjacency_matrix: A, (N, N).
        sensory_adjacency_matrix: S, (F, N); None where all inputs go to all units, excitatory, however many.
        output_dim: units that are the output; None for all.

    Raises:
        InputError: a matrix has another shape or other values, or there are fewer units than outputs.
    """

    def __init__(
        self,
        adjacency_matrix: ArrayLike,
        sensory_adjacency_matrix: ArrayLike | None = None,
        output_dim: int | None = None,
    ) -> None:
        self.adjacency_matrix = _signs(adjacency_matrix, "adjacency_matrix")
        self.units = len(self.adjacency_matrix)
        if self.adjacency_matrix.shape != (self.units, self.units):
            raise InputError(f"adjacency_matrix of shape {self.adjacency_matrix.shape} must be square")
        self.output_dim = self.units if output_dim is None else output_dim
        if not 1 <= self.output_dim <= self.units:
            raise InputError(
                f"output_dim={output_dim} must be between 1 and the number of units, {self.units}"
            )
        self.sensory_adjacency_matrix: Signs | None = None
        if sensory_adjacency_matrix is not None:
            self.sensory_adjacency_matrix = _signs(sensory_adjacency_matrix, "sensory_adjacency_matrix")
            if self.sensory_adjacency_matrix.shape[1] != self.units:
                raise InputError(
                    f"sensory_adjacency_matrix of shape {self.sensory_adjacency_matrix.shape} must be "
                    f"(inputs, {self.units})"
                )

    @property
    def input_dim(self) -> int | None:
        """Inputs, F; None before :meth:`build`."""
        return None if self.sensory_adjacency_matrix is None else len(self.sensory_adjacency_matrix)

    def build(self, input_dim: int) -> None:
        """Draw the synapses from that many inputs; again for the same number changes nothing.

        Raises:
            InputError: it is built for another number, or has too few inputs.
        """
        if input_dim < 1:
            raise InputError(f"a wiring for {input_dim} inputs; there is at least one")
        if self.input_dim is None:
            self.sensory_adjacency_matrix = self._draw_sensory(input_dim)
        elif self.input_dim != input_dim:
            raise InputError(
                f"the wiring is built for {self.input_dim} inputs and cannot be used for {input_dim}; make another"
            )

    def _draw_sensory(self, input_dim: int) -> Signs:
        return np.ones((input_dim, self.units), dtype=np.int64)

    @property
    def layers(self) -> list[list[int]]:
        """Units by layer, from the input to the output."""
        return [list(range(self.units))]

    @property
    def synapse_count(self) -> int:
        """Synapses between units."""
        return int(np.abs(self.adjacency_matrix).sum())

    @property
    def sensory_synapse_count(self) -> int:
        """Synapses from inputs; 0 before :meth:`build`."""
        return (
            0 if self.sensory_adjacency_matrix is None else int(np.abs(self.sensory_adjacency_matrix).sum())
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(units={self.units}, output_dim={self.output_dim}, input_dim={self.input_dim}, "
            f"synapses={self.synapse_count}, sensory_synapses={self.sensory_synapse_count})"
        )


def built(wiring: Wiring, in_features: int | None) -> tuple[Tensor, Tensor]:
    """A and S of a wiring as tensors, for a number of inputs; None where it is built.

    Raises:
        InputError: it is no wiring, the number is missing, or the wiring is built for another.
    """
    if not isinstance(wiring, Wiring):
        raise InputError(
            f"wiring={wiring!r} is no wiring; for that many units, all connected, give FullyConnected({wiring!r})"
        )
    if in_features is not None:
        wiring.build(in_features)
    if wiring.sensory_adjacency_matrix is None:
        raise InputError(
            f"{wiring!r} does not know its inputs; give in_features, or call wiring.build(in_features)"
        )
    dtype = torch.get_default_dtype()
    return (
        torch.tensor(wiring.adjacency_matrix, dtype=dtype),
        torch.tensor(wiring.sensory_adjacency_matrix, dtype=dtype),
    )


def check_units(units: int) -> None:
    """Raises: InputError: there is no unit."""
    if units < 1:
        raise InputError(f"units={units}: a wiring has at least one unit")


def draw_signs(rng: np.random.Generator, shape: Any, excitatory: float) -> Signs:
    """Signs, 1 with the probability `excitatory` and else -1."""
    return np.where(rng.random(shape) < excitatory, 1, -1)


def _signs(matrix: ArrayLike, name: str) -> Signs:
    values = np.asarray(matrix)
    if values.ndim != 2 or 0 in values.shape or not np.isin(values, (-1, 0, 1)).all():
        raise InputError(f"{name} must be a matrix of -1 (inhibitory), 0 (no synapse) and 1 (excitatory)")
    return values.astype(np.int64)
