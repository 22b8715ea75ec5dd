"""Definitions of one's own, in a file that ``plugins: [my_study]`` names. Each is registered where it is written.

    from dynvision.extend import Stimulus, figure, loss, measure, model, noise, solver, stimulus, targets

    @noise("stripes", "horizontal stripes")
    def stripes(request): ...

    @measure("dip", "dip", "a.u.", "lowest response over the highest")
    def dip(response): return response.min(axis=-1) / response.max(axis=-1)

A loss, a solver and a model are classes of torch, which planning would import with them; where that is too slow, let the
decorated class stand in a second file and register its place: ``register_model("Net", "my_net:Net")``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from dynvision.analysis import registry as measures
from dynvision.analysis.scorecard import targets as cortex
from dynvision.config import measures as named_measures
from dynvision.config.comparison import DISTANCES, SCORES
from dynvision.config.dyrcnn import DyRCNNArgs
from dynvision.config.model import SOLVERS, RecurrentArgs, TemporalArgs
from dynvision.config.models import OpenArgs
from dynvision.config.models import register as register_model
from dynvision.config.optimization import LOSSES, LossConfig, MonitoringTerm
from dynvision.config.section import key
from dynvision.config.visualization import EXPERIMENT_FIGURES, FIGURES
from dynvision.errors import InputError
from dynvision.noise.kind import NoiseRequest
from dynvision.noise.kind import register as noise
from dynvision.stimuli.stimulus import Span, Stimulus
from dynvision.stimuli.stimulus import register as stimulus

__all__ = [
    "DyRCNNArgs", "LossConfig", "MonitoringTerm", "NoiseRequest", "OpenArgs", "RecurrentArgs", "Span", "Stimulus",
    "TemporalArgs", "distance", "figure", "key", "loss", "measure", "model", "noise", "register_model", "score", "solver",
    "stimulus", "targets",
]  # fmt: skip
C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
distance = DISTANCES.register  # @distance("name") of a function of patterns, (T, N, P) to (T, pairs)
score = SCORES.register  # @score("name") of a function that normalises films, (..., pairs) to the same
solver = SOLVERS.register  # @solver("name") of a subclass of dynvision.model_components.Solver


def loss(name: str, args: type[LossConfig] = LossConfig) -> Callable[[C], C]:
    """Return a decorator that registers a subclass of `dynvision.losses.BaseLoss` as a term of the loss.

    Args:
        name: the name in ``training.loss``.
        args: schema of its arguments, a subclass of `LossConfig` or `MonitoringTerm`.

    Raises:
        InputError: the name is taken.
    """

    def add(loss_class: C) -> C:
        own = {
            "name": key(name, "loss by name"),
            "computed_by": loss_class,
            "__annotations__": {"name": Literal[name]},
            "__module__": loss_class.__module__,
            "__doc__": args.__doc__,
        }
        LOSSES.add(name, type(f"{name}Term", (args,), own))
        return loss_class

    return add


def measure(
    name: str, label: str, unit: str, definition: str, varies: tuple[str, int] | None = None, **facts: Any
) -> Callable[[F], F]:
    """Return a decorator that registers a function as a measure that experiments can list.

    Args:
        name: the name in ``measures``.
        label, unit, definition: what axes and captions state.
        varies: the parameter that must vary, and how many of its values must be above 0; None asks for nothing.
        facts: further attributes of `dynvision.analysis.registry.Measure`, such as ``scope``.

    Raises:
        InputError: the name is taken, or the function asks for something that does not exist.
    """

    def add(function: F) -> F:
        measures.register(name, label, unit, definition, **facts)(function)
        named_measures.MEASURES[name] = definition
        named_measures.OUTSIDE[name] = measures.MEASURES.outside(name)
        if varies is not None:
            named_measures.DEFINED_FOR[name] = varies
        if facts.get("scope") == "experiment" or measures.MEASURES[name].of != "responses":
            named_measures.NOT_OF_A_LAYER.add(name)
        return function

    return add


def figure(name: str, about: str) -> Callable[[F], F]:
    """Return a decorator that registers a function as a figure of an experiment.

    The function takes the tables of an experiment, a comparison of runs and the style, and returns a
    `dynvision.visualization.save.Drawn` with its caption, as ``draw_responses`` in
    `dynvision.visualization.responses` does.

    Args:
        name: the name in ``visualization.figures``.
        about: what it shows, for lists of figures.

    Raises:
        InputError: the name is taken.
    """

    def add(function: F) -> F:
        FIGURES.add(name, function)
        EXPERIMENT_FIGURES[name] = about
        return function

    return add


def model(name: str, args: type[TemporalArgs] = OpenArgs, **facts: Any) -> Callable[[C], C]:
    """Return a decorator that registers a model class by name.

    Args:
        name: the name in ``model_name``.
        args: schema of its arguments; the open one leaves those that it does not know to the constructor.
        facts: ``stages``, ``image``, ``n_classes`` and ``layers``, as of `dynvision.config.models.register`.

    Raises:
        InputError: the name is taken.
    """

    def add(model_class: C) -> C:
        register_model(name, f"{model_class.__module__}:{model_class.__qualname__}", args, **facts)
        return model_class

    return add


def targets(path: str | Path) -> None:
    """Add a CSV file with numbers of cortex to those that networks are compared with.

    Args:
        path: with the columns `area, protocol, measure, value, unit, target, provenance, source, note`, and `low` and
            `high` where the band is known; relative to the working directory. Areas are those of ``scorecard.areas``.

    Raises:
        InputError: there is no such file, or it is there already.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no table of targets {path}")
    cortex.TABLES.add(str(path), Path(path).absolute())
