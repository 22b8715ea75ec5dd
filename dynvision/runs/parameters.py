"""The parameters of a run by their dotted names, as tables show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynvision.config.run import RunConfig


def flat_parameters(run: RunConfig) -> dict[str, Any]:
    """Every parameter of a run by its dotted name, its id first."""
    return {"run_id": run.run_id, **flatten(run.model_dump(mode="json"))}


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested keys as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{name}.{inner}": content for inner, content in flatten(value).items()}
        else:
            flat[name] = value
    return flat
