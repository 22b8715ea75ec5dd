"""The terms that a loss can have, each with its arguments. Nothing here imports torch; a test compares with the losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import SerializeAsAny

from dynvision.config.section import Section, key, validate
from dynvision.errors import InputError
from dynvision.registry import Registry

Quantity = Literal["state", "drive", "recurrent", "conv"]
MONITOR = (
    "what is looked at in each layer: state (activity), drive (what the solver integrates), recurrent (the recurrent "
    "signal) or conv (output of the layer's own convolution)"
)


class LossConfig(Section):
    """One term of the loss."""

    identifying = ("name",)

    name: str = key("CrossEntropyLoss", "loss by name")
    weight: float = key(1.0, "factor of this term in the sum", ge=0)


class CrossEntropyTerm(LossConfig):
    """Cross-entropy over the steps that count."""

    name: Literal["CrossEntropyLoss"] = key("CrossEntropyLoss", "loss by name")


class MonitoringTerm(LossConfig):
    """A term that looks at what layers do."""

    layers: tuple[str, ...] = key(
        (), "names of the layers that are looked at; none named are all that have it"
    )


class ActivityTerm(MonitoringTerm):
    """Mean absolute activity."""

    name: Literal["ActivityLoss"] = key("ActivityLoss", "loss by name")
    monitor: Quantity = key("state", MONITOR)
    signed: bool = key(False, "absolute value of the mean over units, instead of mean of absolute values")


class EnergyTerm(MonitoringTerm):
    """Mean squared activity."""

    name: Literal["EnergyLoss"] = key("EnergyLoss", "loss by name")
    monitor: Quantity = key("state", MONITOR)


class TemporalConsistencyTerm(MonitoringTerm):
    """Mean squared change from step to step."""

    name: Literal["TemporalConsistencyLoss"] = key("TemporalConsistencyLoss", "loss by name")
    monitor: Literal["output", "state", "drive", "recurrent", "conv"] = key(
        "output", f"output (probabilities of the classes, between steps that count), or {MONITOR}"
    )


LOSSES: Registry[type[LossConfig]] = Registry("loss", key="training.loss")
for _term_of in (CrossEntropyTerm, ActivityTerm, EnergyTerm, TemporalConsistencyTerm):
    LOSSES.add(_term_of.model_fields["name"].default, _term_of)

LossTerm = SerializeAsAny[LossConfig]  # every term with the keys of its own


def loss_terms(value: Any) -> tuple[LossConfig, ...]:
    """The terms of a loss, in whichever form it is written.

    Args:
        value: a name, ``{name: weight}``, ``{name: {argument: value}}``, ``{name: ..., argument: value}``, or a list of
            these.

    Raises:
        InputError: another form, an unknown loss or argument, no term at all, or none that weighs.
    """
    terms = tuple(_term(values) for values in loss_forms(value))
    if not terms:
        raise InputError("training.loss is empty; name at least one loss, e.g. loss: [CrossEntropyLoss]")
    if not any(term.weight for term in terms):
        raise InputError("training.loss: no term has a weight above 0; raise at least one")
    return terms


def _term(values: Mapping[str, Any]) -> LossConfig:
    name = values.get("name", LossConfig.model_fields["name"].default)
    return validate(LOSSES[str(name)], values, f"training.loss.{name}")


def loss_forms(value: Any) -> list[dict[str, Any]]:
    """Name and settings of each term, as :func:`loss_terms` takes them, unchecked.

    Raises:
        InputError: another form.
    """
    if isinstance(value, str):
        return [{"name": value}]
    if isinstance(value, LossConfig):
        return [value.model_dump()]
    if isinstance(value, Mapping):
        if "name" in value:
            return [dict(value)]
        return [_named(name, spec) for name, spec in value.items()]
    if isinstance(value, (list, tuple)):
        return [form for item in value for form in loss_forms(item)]
    raise InputError(
        f"loss={value!r} is not valid; write a list of loss names, e.g. loss: [CrossEntropyLoss]"
    )


def _named(name: Any, spec: Any) -> dict[str, Any]:
    return {"name": name, **(spec if isinstance(spec, Mapping) else {"weight": spec})}
