"""A model whose arguments are the keys of a schema in ``dynvision.config``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from dynvision.base.arguments import reject_unknown_arguments
from dynvision.base.base_model import BaseModel
from dynvision.config.model import TemporalArgs
from dynvision.config.section import validate


class ConfiguredModel(BaseModel):
    """The base of models with a schema; a subclass names it and implements ``_define_architecture`` from ``self.args``.

    Args:
        input_dims: (T, C, H, W), or (C, H, W) for the schema's number of steps.
        n_classes: number of classes.
        **kwargs: the keys of ``schema`` (durations in ms) and of the base classes.

    Raises:
        InputError: an unknown argument, or a value or combination that is not possible.
    """

    schema: ClassVar[type[TemporalArgs]]

    def __init__(
        self, input_dims: Sequence[int] = (3, 224, 224), n_classes: int = 1000, **kwargs: Any
    ) -> None:
        reject_unknown_arguments(type(self), kwargs, self.schema.model_fields)
        given = {name: kwargs.pop(name) for name in self.schema.model_fields if name in kwargs}
        if len(input_dims) == 4:
            given = {"n_timesteps": input_dims[0], **given}
        self.args: Any = validate(self.schema, given, "")
        shared = (*TemporalArgs.model_fields, *({"tau"} & self.schema.model_fields.keys()))
        common = {name: getattr(self.args, name) for name in shared}
        super().__init__(input_dims=input_dims, n_classes=n_classes, **common, **kwargs)

    def _scaled(self, channels: int) -> int:
        """A published number of channels times ``width``, where the schema has it."""
        return max(1, round(channels * self.args.width))
