"""Checks of input, state and outputs: their shape and type, the plan that a state is of, and the number of classes.

Axes: n steps, B batch, T frames, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dynvision.errors import InputError

if TYPE_CHECKING:
    from dynvision.base.frames import Frames, ModelState
    from dynvision.base.plan import Plan

# What autocast takes, and turns into its own type where an operation wants it.
AUTOCAST_TYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Origin:
    """Origin of a state: two models of equal origin can resume from each other's states.

    Attributes:
        dt: integration step in ms.
        image: (C, H, W) of the input.
        starts: first step of each layer, in the order of the layers.
        parameters: shapes of all parameters, sorted.
        horizon: how far back the activity of each layer is kept, in steps; a plan that needs less fits, too.
    """

    dt: float
    image: tuple[int, int, int]
    starts: tuple[tuple[str, int], ...]
    parameters: tuple[tuple[int, ...], ...]
    horizon: dict[str, int]


def as_video(x: Any, model: nn.Module, image: tuple[int, int, int]) -> Tensor:
    """Input of a trial as (B, T, C, H, W); a single image is one frame.

    Args:
        x: images (B, C, H, W) or videos (B, T, C, H, W).
        model: whose input it is.
        image: (C, H, W) of the model.

    Raises:
        InputError: another shape, type or device.
    """
    c, h, w = image
    _check_tensor(x, "the input", image)
    video = x.unsqueeze(1) if x.dim() == 4 else x
    if video.dim() != 5 or tuple(video.shape[2:]) != image or 0 in video.shape:
        raise InputError(
            f"input of shape {tuple(x.shape)} is not (B, {c}, {h}, {w}) or (B, T, {c}, {h}, {w}) with B, T >= 1, which "
            "the model was built for; resize the input or build the model with other input_dims"
        )
    _check_kind(x, model)
    return video


def check_frames(frames: Frames, model: nn.Module, image: tuple[int, int, int]) -> None:
    """Check a stretch of input.

    Raises:
        InputError: its values are not n steps of a batch of images of the model's shape, type and device.
    """
    values, (c, h, w) = frames.values, image
    _check_tensor(values, "a frame", image)
    batch = "B" if frames.constant or frames.n == 1 else f"{frames.n} B"
    given = "a frame" if frames.n == 1 else f"a stretch of {frames.n} steps"
    whole = frames.n >= 1 and values.dim() == 4 and values.shape[0] > 0
    if not whole or tuple(values.shape[1:]) != image or (not frames.constant and values.shape[0] % frames.n):
        raise InputError(
            f"{given} of shape {tuple(values.shape)} is not ({batch}, {c}, {h}, {w}), which the model was built for; "
            "resize the input or build the model with other input_dims"
        )
    _check_kind(values, model)


def check_state(
    frames: Frames, state: ModelState, plan: Plan, model: nn.Module, hooked: frozenset[int] | None
) -> None:
    """Check that a state is one that a plan can resume from with these frames.

    Args:
        frames, state, plan: what resumes.
        model: whose plan it must be.
        hooked: ids of its modules that have hooks now; None where it is compiled, and nothing can change.

    Raises:
        InputError: it is of another batch, model, plan, type or device.
    """
    if plan.owner != id(model):
        raise InputError("the plan was made by another model; give this model's plan()")
    if hooked is not None and plan.hooked != hooked:
        raise InputError(
            "hooks were registered or removed since the plan was made; make it again with plan()"
        )
    if frames.batch != state.batch:
        raise InputError(
            f"the state is of {state.batch} images and the frames are of {frames.batch}; begin a trial of "
            f"{frames.batch} with initial_state({frames.batch})"
        )
    _check_origin(state.origin, plan.origin)
    held = {trace.kind for trace in state.traces.values() if trace.pieces}
    allowed = {(dtype, frames.values.device) for dtype in _accepted(frames.values.dtype, frames.values)}
    if held and held.isdisjoint(allowed):
        found, wanted = _names(held), _names(allowed)
        raise InputError(
            f"the state holds activity in {found} and the frames need {wanted}; keep one type and device through a trial"
        )


def _check_origin(made: Origin | None, wanted: Origin | None) -> None:
    if made is None or wanted is None:
        raise InputError("the state was made by hand; make it with initial_state()")
    if made == wanted:
        return
    for name, unit in (("dt", " ms"), ("image", "")):
        theirs, ours = getattr(made, name), getattr(wanted, name)
        if theirs != ours:
            raise InputError(
                f"the state is of a model with {name}={theirs}{unit} and this one has {ours}{unit}; begin with "
                "this model's initial_state()"
            )
    layers = [name for name, _ in made.starts], [name for name, _ in wanted.starts]
    if layers[0] != layers[1] or made.parameters != wanted.parameters:
        raise InputError(
            f"the state is of a model with other layers or parameters (layers {', '.join(layers[0])}; here "
            f"{', '.join(layers[1])}); begin with this model's initial_state()"
        )
    short = [name for name, steps in wanted.horizon.items() if made.horizon.get(name, 0) < steps]
    if short or made.starts != wanted.starts:
        raise InputError(
            "the state began with a plan of other connections or delays, and lacks activity that this one receives"
            f"{' of ' + ', '.join(short) if short else ''}; begin with initial_state(batch, plan)"
        )


def _check_tensor(x: Any, what: str, image: tuple[int, int, int]) -> None:
    """Check that an input is a dense tensor."""
    if not isinstance(x, Tensor):
        raise InputError(f"{what} is a {type(x).__name__}; give a tensor (B, {', '.join(map(str, image))})")
    if x.layout != torch.strided:
        raise InputError(f"{what} has the layout {_name(x.layout)}; give a dense tensor: x.to_dense()")


def _check_kind(x: Tensor, model: nn.Module) -> None:
    """Check type and device of an input against those of the model's parameters."""
    like = reference(model)
    if like is None:
        return
    allowed = _accepted(like.dtype, like)
    if x.dtype not in allowed:
        raise InputError(
            f"the input is {_name(x.dtype)} and the model computes in {' or '.join(map(_name, allowed))}; convert the "
            f"input with .to({allowed[0]}){' / 255' if not x.is_floating_point() else ''} or the model with .to()"
        )
    if x.device != like.device:
        raise InputError(
            f"the input is on {x.device} and the model on {like.device}; move one of them with .to()"
        )


def reference(model: nn.Module) -> Tensor | None:
    """The first floating-point parameter, whose type and device are the model's; None where there is none."""
    return next((p for p in model.parameters() if p.is_floating_point()), None)


def _accepted(dtype: torch.dtype, like: Tensor) -> tuple[torch.dtype, ...]:
    """The types that may be mixed with a type: it alone, or under autocast those that are converted."""
    kind = like.device.type
    if kind != "meta" and torch.is_autocast_enabled(kind) and dtype in AUTOCAST_TYPES:
        return AUTOCAST_TYPES
    return (dtype,)


def _name(kind: torch.dtype | torch.layout) -> str:
    return str(kind).removeprefix("torch.")


def _names(kinds: Collection[tuple[torch.dtype, torch.device]]) -> str:
    return " or ".join(sorted(f"{_name(dtype)} on {device}" for dtype, device in kinds))


def linear_outputs(classifier: nn.Module | None) -> int | None:
    """Outputs of a linear classifier; None for another one."""
    return classifier.out_features if isinstance(classifier, nn.Linear) else None


def unknown_classes(model: str) -> InputError:
    """The error for an architecture that needs a number of classes and was given none."""
    return InputError(
        f"{model} needs n_classes, the number of classes of the data: {model}(n_classes=10, ...); a run of the workflow "
        "takes it from its data"
    )


def check_width(outputs: int | None, n_classes: int | None) -> None:
    """Compare the outputs of a read-out with the number of classes; None is a number that is not known.

    Raises:
        InputError: they differ.
    """
    if outputs is not None and n_classes is not None and outputs != n_classes:
        raise InputError(
            f"the read-out has {outputs} outputs and n_classes={n_classes}; end the network in a classifier of "
            f"{n_classes}, e.g. nn.Linear(..., self.n_classes), or set n_classes={outputs}"
        )
