"""What is shown at each step of a presentation, and which steps are scored.

    trial = [idle: not recorded] [presentation: T steps] [residual: R steps of null input]

The pattern's P symbols are stretched over T steps by nearest index: step t takes symbol floor(t P / T). Symbol 0 shows
the null input and has no label. Labels are ignored for the reaction time after each onset. Outputs at step t + R are
scored against the label of frame t, so labels are padded at the start where the input is padded at the end.
"""

from __future__ import annotations

import torch
from torch import Tensor


def stretch_pattern(pattern: str, n_timesteps: int, generator: torch.Generator | None = None) -> list[bool]:
    """Whether the stimulus is on at each step.

    Args:
        pattern: symbols 0 and 1.
        n_timesteps: T, length of the presentation in steps.
        generator: if given, the symbols are permuted with it first.

    Returns:
        T booleans.
    """
    symbols = [symbol == "1" for symbol in pattern]
    if generator is not None:
        symbols = [symbols[i] for i in torch.randperm(len(symbols), generator=generator).tolist()]
    return [symbols[t * len(symbols) // n_timesteps] for t in range(n_timesteps)]


def scored_steps(on: list[bool], reaction_steps: int) -> list[bool]:
    """The steps whose label counts: the stimulus is on, and its onset is at least the reaction time ago.

    Args:
        on: whether the stimulus is on at each step.
        reaction_steps: reaction time in steps, >= 0.
    """
    scored, since_onset = [], 0
    for t, shown in enumerate(on):
        since_onset = 0 if shown and (t == 0 or not on[t - 1]) else since_onset + 1
        scored.append(shown and since_onset >= reaction_steps)
    return scored


def timed_labels(labels: Tensor, scored: list[bool], residual_steps: int, ignore_index: int) -> Tensor:
    """Labels for every output step.

    Args:
        labels: class of each image, (B,), or of each frame, (B, T).
        scored: T booleans.
        residual_steps: R.
        ignore_index: label of steps that do not count.

    Returns:
        (B, T + R), int64.
    """
    frames = labels.unsqueeze(1).expand(-1, len(scored)) if labels.dim() == 1 else labels
    mask = torch.tensor(scored, device=labels.device)
    kept = torch.where(mask, frames, torch.full_like(frames, ignore_index))
    return torch.nn.functional.pad(kept, (residual_steps, 0), value=ignore_index)
