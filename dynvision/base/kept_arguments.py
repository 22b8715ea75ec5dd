"""The arguments of a model: kept in its checkpoints, from which it can be built again, and given to loggers.

    model.hparams              the arguments of the constructor, given or by default: what a checkpoint holds
    model.hparams_initial      every argument of every base, too: what loggers are given

A checkpoint holds plain values: numbers, text, None, and lists, tuples and mappings of them.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.utilities.parsing import AttributeDict

from dynvision.base.architecture import constructor_arguments
from dynvision.config.section import Section
from dynvision.errors import InputError

NOT_KEPT = "arguments_not_kept"  # key of a checkpoint: names of arguments that are no plain values


class KeptArguments(pl.LightningModule):
    """Keeps what the constructor of the class was called with, whichever of its bases takes it."""

    _arguments: dict[str, Any]  # of the constructor, until they are kept
    _given: frozenset[str]  # names of those that are not by default

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls)
        # Before nn.Module is initialised, which would refuse an attribute. A copy is made without arguments.
        arguments, given = _bound(cls, args, kwargs)
        made.__dict__.update(_arguments=arguments, _given=given)
        return made

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        plain = {name: _plain(value) for name, value in self._arguments.items()}
        self._arguments = {}
        # What is by default will be so again.
        self.not_kept = {name for name, value in plain.items() if value is _NOT_PLAIN and name in self._given}
        self.hparams.update({name: value for name, value in plain.items() if value is not _NOT_PLAIN})
        self._log_hyperparams = True

    @property
    def hparams_initial(self) -> AttributeDict:
        """Every argument of the model by name, given or by default, as far as they are plain values."""
        own = getattr(self, "args", None)
        values = own.model_dump(mode="json") if isinstance(own, Section) else {}
        for name in constructor_arguments(type(self)):
            # The property raises where no number of classes was given.
            value = _plain(getattr(self, "_n_classes" if name == "n_classes" else name, _NOT_PLAIN))
            if value is not _NOT_PLAIN:
                values[name] = value
        return AttributeDict(copy.deepcopy({**values, **self.hparams}))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep plain values alone, also of what a subclass has saved itself: a checkpoint is read without running code."""
        super().on_save_checkpoint(checkpoint)
        kept = {name: _plain(value) for name, value in self.hparams.items()}
        plain = {name: value for name, value in kept.items() if value is not _NOT_PLAIN}
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = plain
        checkpoint[NOT_KEPT] = sorted(self.not_kept)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that a model that is built from a checkpoint is the one that was saved.

        Raises:
            InputError: the checkpoint lacks arguments that were not given again.
        """
        super().on_load_checkpoint(checkpoint)
        if self._trainer is not None:  # a training resumes with a model that has been built already
            return
        if not checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY) and not self._given:
            raise InputError(
                "the checkpoint does not hold the arguments of its model; give them to load_from_checkpoint, e.g. "
                "load_from_checkpoint(path, input_dims=(20, 3, 64, 64), n_classes=10)"
            )
        missing = [name for name in checkpoint.get(NOT_KEPT, ()) if name not in self._given]
        if missing:
            raise InputError(
                f"the checkpoint does not hold the argument {missing[0]}, which is no plain value; give it to "
                f"load_from_checkpoint(path, {missing[0]}=...)"
            )


_NOT_PLAIN = object()


def _bound(
    cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], frozenset[str]]:
    """The arguments of a constructor by name, and the names of those that are not by default."""
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError:  # the constructor itself reports it
        return {}, frozenset()
    given = frozenset(_by_name(signature, bound))
    bound.apply_defaults()
    return _by_name(signature, bound), given


def _by_name(signature: inspect.Signature, bound: inspect.BoundArguments) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            found.update(value)
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            found[name] = value
        elif value:
            found[f"*{name}"] = _NOT_PLAIN  # cannot be given by name
    return found


def _plain(value: Any) -> Any:
    """A copy of a value in plain types, or ``_NOT_PLAIN``."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        parts = {name: _plain(part) for name, part in value.items()}
        whole = all(isinstance(name, str) and part is not _NOT_PLAIN for name, part in parts.items())
        return parts if whole else _NOT_PLAIN
    if isinstance(value, (list, tuple)):
        members = [_plain(part) for part in value]
        if any(part is _NOT_PLAIN for part in members):
            return _NOT_PLAIN
        return members if isinstance(value, list) else tuple(members)
    return _NOT_PLAIN
