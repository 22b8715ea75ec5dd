"""Neural circuit policies: the wiring of a small nervous system, in four layers.

    inputs -> inter units -> command units -> motor units (the output);   command units also to each other

1. Every source has `fanout` synapses to different units of the next layer, drawn at random (inputs `sensory_fanout`, inter
   units `inter_fanout`); every motor unit has `motor_fanin` synapses from different command units.
2. A unit of a next layer that got none gets as many as its fellows have on average, at least one; so does a command unit
   that no motor unit listens to.
3. `recurrent_command_synapses` times a synapse is drawn from any command unit to any, so that some may coincide.
4. Half of the synapses are excitatory.

Units are numbered from the output: motor, command, inter.

Source: Lechner, Hasani, Amini, Henzinger, Rus & Grosu (2020), Nature Machine Intelligence 2:642, Methods (design of the
network); numbers of AutoNCP as in the authors' package ncps 1.0.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynvision.errors import InputError
from dynvision.neurons.wiring import Signs, Wiring, draw_signs

EXCITATORY = 1 / 2
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
            adjacency[pair[0], pair[1]] = draw_signs(rng, (), EXCITATORY)
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
        matrix[source, chosen] = draw_signs(rng, degree, EXCITATORY)
    mean = int(np.clip(len(sources) * degree // len(targets), 1, len(sources)))
    for target in targets:
        if not matrix[sources, target].any():
            chosen = rng.choice(sources, mean, replace=False)
            matrix[chosen, target] = draw_signs(rng, mean, EXCITATORY)
