"""Monitoring: statistics of parameters, and what is not finite, by name and time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.base.non_finite import ActivityCheck, non_finite_gradients, non_finite_parameters
from dynvision.errors import InputError, unknown_name

METRICS: dict[str, Callable[[Tensor], Tensor]] = {
    "min": torch.amin,
    "max": torch.amax,
    "norm": torch.linalg.vector_norm,
    "mean": torch.mean,
}


class Monitoring:
    """Looks at a model's parameters, gradients and activity. It changes nothing."""

    def log_param_stats(
        self, section: str = "params", metrics: Sequence[str] = ("min", "max", "norm")
    ) -> dict[str, float]:
        """Print statistics of every parameter, and return them.

        Args:
            section: goes before each name.
            metrics: ``min``, ``max``, ``norm`` (Euclidean) or ``mean``.

        Returns:
            Value by ``{section}/{parameter}_{metric}``.
        """
        stats = parameter_statistics(self._as_module(), section, metrics)
        for name, value in stats.items():
            print(f"{name} {value:.6g}")
        return stats

    def _check_weights(self, raise_error: bool = False) -> None:
        """Find parameters that are not finite, or of another dtype than the first.

        Raises:
            InputError: there is one, and ``raise_error`` is set; otherwise a warning names it.
        """
        model = self._as_module()
        problems = [f"{name} holds values that are not finite" for name in non_finite_parameters(model)]
        parameters = list(model.named_parameters())
        problems += [
            f"{name} is {parameter.dtype} instead of {parameters[0][1].dtype}"
            for name, parameter in parameters
            if parameter.dtype != parameters[0][1].dtype
        ]
        _tell("weights", problems, raise_error)

    def _check_gradients(self, raise_error: bool = False) -> None:
        """Find gradients that are not finite.

        Raises:
            InputError: there is one, and ``raise_error`` is set; otherwise a warning names it.
        """
        names = non_finite_gradients(self._as_module())
        _tell(
            "gradients", [f"that of {name} holds values that are not finite" for name in names], raise_error
        )

    @torch.no_grad()
    def _check_activity(self, x_0: Tensor, raise_error: bool = False) -> None:
        """Run a trial and find the first activity that is not finite.

        Args:
            x_0: images (B, C, H, W) or videos (B, T, C, H, W).
            raise_error: raise instead of warning.

        Raises:
            InputError: there is one, and ``raise_error`` is set; it names the layer and the time.
        """
        model: Any = self
        check = ActivityCheck()
        model(x_0, observer=check)
        _tell("activity", [f"{check.where(model.dt)} is not finite"] if check.layer else [], raise_error)

    def _as_module(self) -> nn.Module:
        assert isinstance(self, nn.Module)
        return self


def parameter_statistics(model: nn.Module, section: str, metrics: Sequence[str]) -> dict[str, float]:
    """Statistics of every parameter that has elements, by ``{section}/{parameter}_{metric}``.

    Raises:
        InputError: an unknown metric.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)
    parameters = [
        (name, parameter.detach()) for name, parameter in model.named_parameters() if parameter.numel()
    ]
    names = [f"{section}/{name}_{metric}" for name, _ in parameters for metric in metrics]
    values = [METRICS[metric](parameter).float() for _, parameter in parameters for metric in metrics]
    return dict(zip(names, torch.stack(values).tolist(), strict=True)) if values else {}


def _tell(kind: str, problems: list[str], raise_error: bool) -> None:
    if not problems:
        return
    listed = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
    if raise_error:
        raise InputError(f"{kind}: {listed}")
    warnings.warn(f"{kind}: {listed}", stacklevel=3)
