"""Models by name: ``create("DyRCNNx4", input_dims=(20, 1, 32, 32), n_classes=10)``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dynvision.config.models import MODELS, find_model, register, registered_name
from dynvision.errors import InputError

if TYPE_CHECKING:
    from dynvision.base import TemporalBase
    from dynvision.models.blt import BL, BLT
    from dynvision.models.cordsnet import CordsNet, CordsNetR2, CordsNetR4, CordsNetR6, CordsNetR8
    from dynvision.models.cornet import CORnetR, CORnetRT, CorNetRT, CORnetS, CORnetZ
    from dynvision.models.dyrcnn import DyRCNN, DyRCNNx2, DyRCNNx4, DyRCNNx8

__all__ = [
    "BL",
    "BLT",
    "CORnetR",
    "CORnetRT",
    "CORnetS",
    "CORnetZ",
    "CorNetRT",
    "CordsNet",
    "CordsNetR2",
    "CordsNetR4",
    "CordsNetR6",
    "CordsNetR8",
    "DyRCNN",
    "DyRCNNx2",
    "DyRCNNx4",
    "DyRCNNx8",
    "create",
    "list_models",
    "model_class",
    "register",
]


def list_models() -> list[str]:
    """Names of all registered models."""
    return sorted(MODELS)


def model_class(name: str) -> type[TemporalBase]:
    """The class of a registered name, or of ``package.module:Class``.

    Raises:
        InputError: the name is unknown, its module or class does not exist, or it is no model.
    """
    from dynvision.base import TemporalBase

    module, _, attribute = find_model(name).target.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise InputError(f"model_name {name!r}: no module named {error.name!r}") from None
    except AttributeError:
        raise InputError(f"model_name {name!r}: module {module} has no class {attribute!r}") from None
    if not isinstance(found, type) or not issubclass(found, TemporalBase):
        raise InputError(
            f"model_name {name!r}: {attribute} is no model; derive a class from dynvision.base.BaseModel, whose forward "
            "may call a network of yours"
        )
    return found


def create(name: str, **kwargs: Any) -> TemporalBase:
    """Build a model by name; the arguments are those of its class."""
    return model_class(name)(**kwargs)


def __getattr__(name: str) -> Any:
    """Model classes by their names, imported when they are used."""
    if name == "DyRCNN" or registered_name(name) in MODELS:
        return getattr(importlib.import_module(_module_of(name)), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _module_of(name: str) -> str:
    return "dynvision.models.dyrcnn" if name == "DyRCNN" else find_model(name).target.partition(":")[0]
