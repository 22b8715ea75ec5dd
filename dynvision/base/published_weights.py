"""Weights that were published for a network: how their names become the names of a model here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor


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
