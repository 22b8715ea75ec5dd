"""Show images in conditions, from the idle state of a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dynvision.base import ModelState, TemporalBase
from dynvision.base.plan import Plan
from dynvision.experiments.protocol import Condition
from dynvision.experiments.recorder import ResponseRecorder
from dynvision.experiments.screen import Screen


@torch.inference_mode()
def run_conditions(
    model: TemporalBase, images: Tensor, shown: Sequence[Condition], screen: Screen | None = None
) -> Iterator[tuple[Condition, ResponseRecorder, Tensor]]:
    """Show a batch in every condition.

    Args:
        model: in eval mode.
        images: normalised images, (B, C, H, W).
        shown: the conditions.
        screen: what puts images, noise and masks together; by default one that knows images only by their place.

    Yields:
        The condition, what its layers did, and the outputs (B, n_steps, K).
    """
    screen = Screen(images) if screen is None else screen
    screen = screen.to(next(model.parameters()).device)
    plan = model.plan()
    begin = model.initial_state(len(images), plan)
    for condition in shown:
        recorder = ResponseRecorder(model.chain, len(images), condition.n_steps)
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
