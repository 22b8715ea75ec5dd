"""What a network is, before it runs: its arguments, its layers, delays and plan, and the names of published weights."""

from __future__ import annotations

import inspect
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from dynvision.errors import InputError, unknown_name


def reject_unknown_arguments(owner: type, kwargs: Mapping[str, Any], more: Iterable[str] = ()) -> None:
    """Refuse keyword arguments that no constructor of a class knows, and that are none of ``more``.

    Raises:
        InputError: with the nearest name.
    """
    known = constructor_arguments(owner) | set(more)
    for name in kwargs:
        if name not in known:
            raise unknown_name("argument", name, known)


def constructor_arguments(owner: type) -> set[str]:
    """Names of all arguments that the constructor of a class or of one of its bases takes."""
    known: set[str] = set()
    for base in owner.__mro__:
        if "__init__" in base.__dict__ and base is not object:
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
            known |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return known - {"self"}


def whole_number(name: str, value: Any, at_least: int) -> int:
    """Return an argument that is a whole number.

    Raises:
        InputError: it is none, or below the smallest that is allowed.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = at_least - 1
    if isinstance(value, bool) or number < at_least:
        raise InputError(f"{name}={value!r} must be a whole number, at least {at_least}")
    return number


def parse_input_dims(input_dims: Sequence[int]) -> tuple[int, int, int, int]:
    """(T, C, H, W) from itself or from (C, H, W).

    Raises:
        InputError: anything else.
    """
    dims = tuple(int(size) for size in input_dims)
    if len(dims) == 3:
        dims = (1, *dims)
    if len(dims) != 4 or min(dims) < 1:
        raise InputError(f"input_dims={tuple(input_dims)} must be (T, C, H, W) or (C, H, W), all at least 1")
    return dims  # type: ignore[return-value]


class PublishedWeights:
    """A model whose weights may come from a published checkpoint.

    A class of a published network says in ``published_names`` how it was laid out: pairs of a regular expression for a
    whole published name and its replacement, the first that matches counting. What matches none keeps its name, so that a
    strict load refuses it if the model does not know it.
    """

    published_names: ClassVar[Sequence[tuple[str, str]]] = ()

    @classmethod
    def translate_pretrained_layer_names(cls, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The published weights by the names of this class, values unchanged.

        Batch normalisation did not always count its batches; as in torch, a count that is missing is 0.

        Args:
            state_dict: tensors by published name, without the prefix ``module.`` of data-parallel training.

        Returns:
            Tensors by the names of ``state_dict()`` of a model of this class; the names as they are for a class without
            a published layout.
        """
        own = {cls._own_name(name): tensor for name, tensor in state_dict.items()}
        for name in [name for name in own if name.endswith(".running_mean")]:
            own.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
        return own

    @classmethod
    def published_arguments(cls, state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
        """The arguments of a model that these weights fit, as far as their names and shapes tell.

        Args:
            state_dict: as for :meth:`translate_pretrained_layer_names`.
        """
        return {}

    @classmethod
    def _own_name(cls, published: str) -> str:
        for pattern, replacement in cls.published_names:
            match = re.fullmatch(pattern, published)
            if match:
                return match.expand(replacement)
        return published
