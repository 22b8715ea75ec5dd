"""A model whose arguments are the keys of a schema in ``dynvision.config``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from dynvision.base.arguments import reject_unknown_arguments
from dynvision.base.base_model import BaseModel
from dynvision.config.by_layer import is_by_layer, resolve_by_layer
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
        shared = (*TemporalArgs.model_fields, *({"tau", "without_skip"} & self.schema.model_fields.keys()))
        self._by_layer: dict[str, dict[str, Any]] = {}
        common = {name: getattr(self.args, name) for name in shared}
        super().__init__(input_dims=input_dims, n_classes=n_classes, **common, **kwargs)

    def numbers_of_layer(self, layer: str) -> dict[str, Any]:
        """Return every argument that can differ between layers, as it is for one of them.

        Raises:
            InputError: an argument names a layer that the model does not have.
        """
        if not self._by_layer:
            self._by_layer = {
                name: resolve_by_layer(getattr(self.args, name), self.chain, field.default, name)
                for name, field in self.schema.model_fields.items()
                if is_by_layer(field) or name == "recurrence_type"
            }
        return {name: values[layer] for name, values in self._by_layer.items()}

    def _scaled(self, channels: int) -> int:
        """A published number of channels times ``width``, where the schema has it."""
        return max(1, round(channels * self.args.width))
