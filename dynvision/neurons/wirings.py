"""Which unit is connected to which, and with which sign.

    A[i, j] in {-1, 0, 1}       synapse from unit i to unit j: inhibitory, absent, excitatory       (N, N)
    S[i, j] in {-1, 0, 1}       synapse from input i to unit j                                      (F, N)

    FullyConnected   all N N and F N synapses; two thirds are excitatory
    Random           round((1 - sparsity_level) N N) and round((1 - sparsity_level) F N) of them, drawn without replacement
    NCP, AutoNCP     neural circuit policy: inputs -> inter -> command -> motor units (the output), command also to command

A policy is drawn so: (1) Every source has `fanout` synapses to different units of the next layer (inputs `sensory_fanout`,
inter units `inter_fanout`); every motor unit has `motor_fanin` synapses from different command units. (2) A unit of a next
layer without synapse gets as many as the others have on average, at least one; so does a command unit without synapse to a
motor unit. (3) `recurrent_command_synapses` times a synapse is drawn from any command unit to any; some may coincide.
(4) Half of the synapses are excitatory. Units are numbered from the output: motor, command, inter.

The first `output_dim` units are the output. A wiring is drawn from its seed alone: the same arguments, the same synapses.
The names are those of the authors' package ncps, so that its users find them; what is drawn is not the same for a seed.

Source: Lechner, Hasani, Amini, Henzinger, Rus & Grosu (2020), Nature Machine Intelligence 2:642, Methods (design of the
network); the wirings without layers and the numbers of AutoNCP as in the authors' package ncps 1.0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
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


EXCITATORY_IN_POLICY = 1 / 2
COMMAND_PART = 0.4  # of the units that are not motor units, in AutoNCP


class NCP(Wiring):
    """A neural circuit policy.

    Args:
        inter_neurons, command_neurons, motor_neurons: units in each layer.
        sensory_fanout: synapses of an input to inter units.
        inter_fanout: synapses of an inter unit to command units.
        recurrent_command_synapses: synapses among command units.
        motor_fanin: synapses of a motor unit from command units.
        seed: of the synapses and their signs.

    Raises:
        InputError: a layer is empty, or has fewer units than a unit is to have synapses with it.
    """

    def __init__(
        self,
        inter_neurons: int,
        command_neurons: int,
        motor_neurons: int,
        sensory_fanout: int,
        inter_fanout: int,
        recurrent_command_synapses: int,
        motor_fanin: int,
        seed: int = 22222,
    ) -> None:
        sizes = {
            "inter_neurons": inter_neurons,
            "command_neurons": command_neurons,
            "motor_neurons": motor_neurons,
        }
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"{name}={size}: every layer has at least one unit")
        _check_degree("sensory_fanout", sensory_fanout, "inter_neurons", inter_neurons)
        _check_degree("inter_fanout", inter_fanout, "command_neurons", command_neurons)
        _check_degree("motor_fanin", motor_fanin, "command_neurons", command_neurons)
        if recurrent_command_synapses < 0:
            raise InputError(f"recurrent_command_synapses={recurrent_command_synapses} must not be negative")
        self.sensory_fanout, self.seed = sensory_fanout, seed
        self.motor = list(range(motor_neurons))
        self.command = list(range(motor_neurons, motor_neurons + command_neurons))
        self.inter = list(range(motor_neurons + command_neurons, sum(sizes.values())))

        rng = np.random.default_rng([seed, 0])
        adjacency = np.zeros((sum(sizes.values()),) * 2, dtype=np.int64)
        _connect(rng, adjacency, self.inter, self.command, inter_fanout)
        _connect(rng, adjacency.T, self.motor, self.command, motor_fanin)
        for _ in range(recurrent_command_synapses):
            pair = rng.choice(self.command, 2)
            adjacency[pair[0], pair[1]] = draw_signs(rng, (), EXCITATORY_IN_POLICY)
        super().__init__(adjacency, None, motor_neurons)

    def _draw_sensory(self, input_dim: int) -> Signs:
        sensory = np.zeros((input_dim, self.units), dtype=np.int64)
        rng = np.random.default_rng([self.seed, 1])
        _connect(rng, sensory, range(input_dim), self.inter, self.sensory_fanout)
        return sensory

    @property
    def layers(self) -> list[list[int]]:
        return [self.inter, self.command, self.motor]


class AutoNCP(NCP):
    """A neural circuit policy from its number of units: the output apart, 40 % are command units, the rest inter units.

    Args:
        units: N.
        output_size: motor units, at most N - 3; a third of N is a good choice.
        sparsity_level: part of the possible synapses that is absent, in [0.1, 0.9].
        seed: of the synapses and their signs.

    Raises:
        InputError: the numbers are not possible.
    """

    def __init__(self, units: int, output_size: int, sparsity_level: float = 0.5, seed: int = 22222) -> None:
        if not 1 <= output_size < units - 2:
            raise InputError(
                f"output_size={output_size} must be at least 1 and at most units - 3 = {units - 3}"
            )
        if not 0.1 <= sparsity_level <= 0.9:
            raise InputError(
                f"sparsity_level={sparsity_level:g} must be between 0.1 (dense) and 0.9 (sparse)"
            )
        density = 1.0 - sparsity_level
        command = max(int(COMMAND_PART * (units - output_size)), 1)
        inter = units - output_size - command
        super().__init__(
            inter_neurons=inter,
            command_neurons=command,
            motor_neurons=output_size,
            sensory_fanout=max(int(inter * density), 1),
            inter_fanout=max(int(command * density), 1),
            recurrent_command_synapses=max(int(2 * command * density), 1),
            motor_fanin=max(int(command * density), 1),
            seed=seed,
        )
        self.sparsity_level = sparsity_level


def _check_degree(name: str, degree: int, layer: str, size: int) -> None:
    if not 1 <= degree <= size:
        raise InputError(f"{name}={degree} must be between 1 and {layer}={size}")


def _connect(
    rng: np.random.Generator, matrix: Signs, sources: Sequence[int], targets: Sequence[int], degree: int
) -> None:
    """Steps 1 and 2, into `matrix`, which for synapses that come in is the transpose."""
    for source in sources:
        chosen = rng.choice(targets, degree, replace=False)
        matrix[source, chosen] = draw_signs(rng, degree, EXCITATORY_IN_POLICY)
    mean = int(np.clip(len(sources) * degree // len(targets), 1, len(sources)))
    for target in targets:
        if not matrix[sources, target].any():
            chosen = rng.choice(sources, mean, replace=False)
            matrix[chosen, target] = draw_signs(rng, mean, EXCITATORY_IN_POLICY)
