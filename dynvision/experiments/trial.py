"""Show images in conditions, from the idle state of a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dynvision.base import Frames, ModelState, TemporalBase
from dynvision.base.plan import Plan
from dynvision.experiments.protocol import Condition
from dynvision.experiments.recorder import ResponseRecorder
from dynvision.experiments.screen import Screen


@torch.inference_mode()
def run_conditions(
    model: TemporalBase, images: Tensor | Screen, shown: Sequence[Condition], n_kept: int = 0
) -> Iterator[tuple[Condition, ResponseRecorder, Tensor]]:
    """Show a batch in every condition.

    Args:
        model: in eval mode.
        images: on a screen, or normalised images (B, C, H, W) known by their place in the batch.
        shown: the conditions.
        n_kept: images, the first of the batch, of which the recorder keeps every unit.

    Yields:
        The condition, what its layers did, and the outputs (B, n_steps, K).
    """
    screen = images if isinstance(images, Screen) else Screen.of(images, next(model.parameters()).device)
    n_images = len(screen.images)
    plan = model.plan()
    begin = model.initial_state(n_images, plan)
    for condition in shown:
        recorder = ResponseRecorder(model.chain, n_images, condition.n_steps, n_kept)
        yield condition, recorder, _show(model, plan, begin, screen, condition, recorder)


def _show(
    model: TemporalBase,
    plan: Plan,
    state: ModelState,
    screen: Screen,
    condition: Condition,
    recorder: ResponseRecorder,
) -> Tensor:
    outputs = []
    null = model.null_input(len(screen.images))
    for frames in screen.frames(condition, null):
        logits, state = model.advance(frames, state, plan, recorder)
        recorder.offset += frames.n
        outputs.append(logits)
    return torch.cat(outputs, dim=1)


@torch.inference_mode()
def layer_shapes(model: TemporalBase, n_steps: int) -> dict[str, tuple[int, ...]]:
    """The shape (C, H, W) of every layer that starts within a number of steps."""
    shapes: dict[str, tuple[int, ...]] = {}

    def observe(layer: str, frames: Frames) -> None:
        shapes[layer] = tuple(frames.values.shape[1:])

    plan = model.plan()
    model.advance(
        Frames(0, n_steps, model.null_input(1), constant=True), model.initial_state(1, plan), plan, observe
    )
    return shapes
