"""A recurrent cell: one step of a network of units, with the state outside; and the parts that cells are made of.

    (output, state(t)) = cell(inputs(t), state(t - elapsed), elapsed)          elapsed in ms: how long an input lasts

    lecun_tanh     1.7159 tanh(0.666 x), so that its gain is near 1 for inputs of unit variance
    FeatureMap     affine  y = w x + b      linear  y = w x      none  y = x,     w and b one number for each feature
    MaskedLinear   y = (W M) x + b,         M mask of the weights that exist; the others have no gradient

`Module`, `Parameter` and `Linear` are PyTorch's own, under the names of the page that :mod:`dynvision.neurons` names.

Source: of lecun_tanh, LeCun, Bottou, Orr & Mueller (1998), Efficient BackProp, section 4.4, with 0.666 for 2/3 as in the
published code of CfC; of the feature map, the authors' package of LTC cells, ncps 1.0.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.errors import InputError, unknown_name

BaseModule = nn.Module
Module = BaseModule
Parameter = nn.Parameter
Linear = nn.Linear


Activation = Callable[[Tensor], Tensor]


def lecun_tanh(x: Tensor) -> Tensor:
    """1.7159 tanh(0.666 x), of the shape of `x`."""
    return 1.7159 * torch.tanh(0.666 * x)


def identity(x: Tensor) -> Tensor:
    """`x`: no nonlinearity."""
    return x


ACTIVATIONS: dict[str, Activation] = {
    "gelu": F.gelu,
    "identity": identity,
    "lecun_tanh": lecun_tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "tanh": torch.tanh,
}


def find_activation(name: str) -> Activation:
    """A nonlinearity by name.

    Raises:
        InputError: the name is not known.
    """
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS, key="activation")
    return ACTIVATIONS[name]


ElapsedTime = float | Tensor


def one_each(elapsed_time: ElapsedTime, inputs: Tensor) -> ElapsedTime:
    """The elapsed time as it multiplies states of (B, N).

    Args:
        elapsed_time: in ms, >= 0: one for all, or (B,) or (B, 1), one for each element of the batch.
        inputs: of the step, (B, F); the time takes their type and place.

    Returns:
        A number, a tensor without axes or (B, 1).

    Raises:
        InputError: it has another shape, or is a number that is no duration. (Tensors are not read, so that a GPU need not
            wait; :class:`RNN` checks those of a whole sequence at once.)
    """
    if isinstance(elapsed_time, (int, float)):
        if not (math.isfinite(elapsed_time) and elapsed_time >= 0):
            raise InputError(f"elapsed_time={elapsed_time:g} ms must be zero or a positive number of ms")
        return elapsed_time
    times, n = torch.as_tensor(elapsed_time).to(inputs), len(inputs)
    if times.dim() == 0:
        return times
    if times.shape not in ((n,), (n, 1)):
        raise InputError(
            f"elapsed_time of shape {tuple(times.shape)}: give one number of ms, or one for each of the {n} elements "
            f"of the batch"
        )
    return times.reshape(n, 1)


def of_each_step(elapsed_time: ElapsedTime | None, inputs: Tensor) -> list[ElapsedTime] | None:
    """The elapsed time of every step of a sequence, as a cell takes it; the sequence is checked.

    Args:
        elapsed_time: in ms, >= 0: one number, (T,), or (B, T); None leaves it to the cell.
        inputs: the sequence, (B, T, F).

    Raises:
        InputError: the sequence is no tensor of this shape with at least one step, the time has another shape, or something
            in it is no duration.
    """
    if not isinstance(inputs, Tensor):
        raise InputError(f"inputs are a {type(inputs).__name__}; give a tensor, e.g. by torch.as_tensor")
    if inputs.dim() != 3 or inputs.shape[1] == 0:
        raise InputError(
            f"inputs of shape {tuple(inputs.shape)}: a sequence is (batch, steps, features) with at least one step"
        )
    if elapsed_time is None:
        return None
    n_batch, n_steps, _ = inputs.shape
    if isinstance(elapsed_time, (int, float)):
        return [elapsed_time] * n_steps
    times = torch.as_tensor(elapsed_time).to(inputs)
    if times.shape not in ((), (n_steps,), (n_batch, n_steps)):
        raise InputError(
            f"elapsed_time of shape {tuple(times.shape)}: give one number of ms, ({n_steps},) for the steps of the "
            f"sequence, or ({n_batch}, {n_steps}) for those of each element of the batch"
        )
    if not bool((torch.isfinite(times) & (times >= 0)).all()):
        raise InputError(
            "elapsed_time has negative or infinite values or NaN; it is how long an input lasts, in ms"
        )
    return list(times.expand(n_steps) if times.dim() == 0 else times.unbind(-1))


MAPPINGS = ("affine", "linear", "none")


class FeatureMap(Module):
    """Elementwise map, the identity before training.

    Args:
        mapping: a name of :data:`MAPPINGS`; None is ``none``.
        n_features: F.
        key: the argument to name in an error.

    Raises:
        InputError: the mapping is not known.
    """

    def __init__(self, mapping: str | None, n_features: int, key: str) -> None:
        super().__init__()
        self.mapping = mapping or "none"
        if self.mapping not in MAPPINGS:
            raise unknown_name("mapping", mapping, MAPPINGS, key=key)
        self.w = Parameter(torch.ones(n_features)) if self.mapping in ("affine", "linear") else None
        self.b = Parameter(torch.zeros(n_features)) if self.mapping == "affine" else None

    def forward(self, x: Tensor) -> Tensor:
        """Features (..., F) in, (..., F) out."""
        if self.w is not None:
            x = x * self.w
        return x if self.b is None else x + self.b

    def extra_repr(self) -> str:
        return self.mapping


class MaskedLinear(nn.Linear):
    """torch.nn.Linear with a mask.

    Args:
        in_features, out_features: as of torch.nn.Linear.
        mask: (in, out), 1 where a weight is; None for everywhere.
    """

    mask: Tensor | None

    def __init__(self, in_features: int, out_features: int, mask: Tensor | None = None) -> None:
        super().__init__(in_features, out_features)
        self.register_buffer("mask", None if mask is None else mask.T.contiguous())

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight if self.mask is None else self.weight * self.mask
        return nn.functional.linear(input, weight, self.bias)


def run_steps(
    cell: Callable[..., tuple[Tensor, Any]],
    inputs: Tensor,
    state: Any,
    times: Sequence[ElapsedTime] | None,
    training: bool | None,
) -> tuple[Tensor, Any]:
    """A cell step by step; arguments and result as of :meth:`ModuleCell.steps`."""
    given: dict[str, Any] = {} if training is None else {"training": training}
    outputs = []
    for t, x in enumerate(inputs.unbind(1)):
        if times is not None:
            given["elapsed_time"] = times[t]
        output, state = cell(x, state, **given)
        outputs.append(output)
    return torch.stack(outputs, dim=1), state


class ModuleCell(Module):
    """The base of all cells; a subclass has a `forward`.

    Args:
        input_size: features of the input, F.
        hidden_size: units, N.
        activation: name of the nonlinearity, see :data:`ACTIVATIONS`; ``self.activation`` is the function.

    Raises:
        InputError: a size is not positive, or the nonlinearity is not known.
    """

    def __init__(self, input_size: int, hidden_size: int, activation: str = "tanh") -> None:
        super().__init__()
        if input_size < 1 or hidden_size < 1:
            raise InputError(f"input_size={input_size}, hidden_size={hidden_size}: both must be at least 1")
        self.input_size, self.hidden_size = input_size, hidden_size
        self.activation = find_activation(activation)

    @property
    def state_size(self) -> int:
        """Numbers in the state of one element of the batch."""
        return self.hidden_size

    @property
    def output_size(self) -> int:
        """Features of the output."""
        return self.hidden_size

    def forward(self, inputs: Tensor, state: Any = None, **kwargs: Any) -> tuple[Tensor, Any]:
        """One step.

        Args:
            inputs: (B, F).
            state: what the last step returned, (B, N); None before the first.
            **kwargs: of cells in continuous time ``elapsed_time``, in ms, a number or (B,); of cells with dropout
                ``training``, which then counts instead of the module's own mode.

        Returns:
            Output (B, `output_size`) and the new state.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def steps(
        self,
        inputs: Tensor,
        state: Any = None,
        times: Sequence[ElapsedTime] | None = None,
        training: bool | None = None,
    ) -> tuple[Tensor, Any]:
        """All steps of a sequence, one after the other.

        Args:
            inputs: (B, T, F).
            state: before the first step; None for that before the first input.
            times: elapsed time of every step, as :func:`of_each_step` gives it; None for the cell's default.
            training: as of `forward`; None for the module's own mode.

        Returns:
            Outputs, (B, T, O), and the state after the last step.
        """
        return run_steps(self, inputs, state, times, training)

    def reset_state(self, batch_size: int = 1) -> Tensor:
        """The state before the first input, zeros of (B, N), where the parameters are."""
        like = next(self.parameters(), torch.empty(0))
        return like.new_zeros(batch_size, self.state_size)

    def start(self, inputs: Tensor, state: Tensor | None) -> Tensor:
        """The state that a step starts from, (B, N): the one given, or that before the first input.

        Raises:
            InputError: inputs or state have another shape than this cell's.
        """
        if inputs.dim() != 2 or inputs.shape[1] != self.input_size:
            raise InputError(
                f"inputs of shape {tuple(inputs.shape)}: {type(self).__name__} takes (batch, {self.input_size}), one step; "
                f"RNN(cell) takes sequences"
            )
        if state is None:
            return self.reset_state(len(inputs))
        if state.shape != (len(inputs), self.state_size):
            raise InputError(
                f"state of shape {tuple(state.shape)}: {type(self).__name__} has ({len(inputs)}, {self.state_size}) here"
            )
        return state


class TimedCell(ModuleCell):
    """The base of cells in continuous time; a subclass has an `advance`. Arguments as of :class:`ModuleCell`."""

    def forward(  # type: ignore[override]
        self,
        inputs: Tensor,
        state: Tensor | None = None,
        elapsed_time: ElapsedTime = 1.0,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One step.

        Args:
            inputs: (B, F), held during the step.
            state: what the last step returned, (B, `state_size`); None before the first.
            elapsed_time: of the step, in ms, a number or (B,).
            training: whether dropout is active, of cells that have it; None as the module's own mode.

        Returns:
            Output, (B, `output_size`), and the new state.

        Raises:
            InputError: an argument has another shape than this cell's.
        """
        return self.advance(inputs, self.start(inputs, state), one_each(elapsed_time, inputs), training)

    def advance(
        self, inputs: Tensor, state: Tensor, elapsed: ElapsedTime, training: bool | None
    ) -> tuple[Tensor, Tensor]:
        """One step, as of `forward`, from a state that is there; the time is as :func:`one_each` gives it."""
        raise NotImplementedError(f"{type(self).__name__} has no advance")
