"""What is shown at each step of a presentation, and which steps are scored.

    trial = [idle: not recorded] [presentation: T steps] [residual: R steps of null input]

The pattern's P symbols are stretched over T steps by nearest index: step t takes symbol floor(t P / T). Symbol 0 shows
the null input and has no label. Labels are ignored for the reaction time after each onset. Outputs at step t + R are
scored against the label of frame t, so labels are padded at the start where the input is padded at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
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


class TrialStep(NamedTuple):
    """One step of a trial.

    Attributes:
        time_ms: end of the step, since the first stimulus onset.
        phase: ``idle`` (not recorded), ``presentation`` or ``residual``.
        sees_image: whether the network is shown the image at this step, and not the null input.
        scored_frame_ms: end of the step whose frame's label is compared with the output of this step; None where no label
            counts.
    """

    time_ms: float
    phase: str
    sees_image: bool
    scored_frame_ms: float | None


@dataclass(frozen=True)
class TrialCourse:
    """What the network sees in a trial, and which of its outputs are scored.

    Attributes:
        dt: integration step in ms.
        on: whether the image is shown, at each of the T steps of the presentation.
        scored: whether the label of the frame counts, likewise.
        idle_steps: steps of null input before, which are not recorded.
        residual_steps: R, steps of null input after.
    """

    dt: float
    on: tuple[bool, ...]
    scored: tuple[bool, ...]
    idle_steps: int
    residual_steps: int

    def labels(self, labels: Tensor, ignore_index: int) -> Tensor:
        """Labels for every output step, (B, T + R); see `timed_labels`."""
        return timed_labels(labels, list(self.scored), self.residual_steps, ignore_index)

    def steps(self) -> list[TrialStep]:
        """Every step in turn, idle ones first."""
        onset = self.on.index(True) if True in self.on else 0
        n, steps = len(self.on), []
        for step in range(-self.idle_steps, n + self.residual_steps):
            phase = "idle" if step < 0 else "presentation" if step < n else "residual"
            frame = step - self.residual_steps
            counts = 0 <= frame < n and self.scored[frame]
            steps.append(
                TrialStep(
                    (step + 1 - onset) * self.dt,
                    phase,
                    0 <= step < n and self.on[step],
                    (frame + 1 - onset) * self.dt if counts else None,
                )
            )
        return steps


def trial_course(
    pattern: str,
    n_timesteps: int,
    dt: float,
    reaction_steps: int = 0,
    idle_steps: int = 0,
    residual_steps: int = 0,
    generator: torch.Generator | None = None,
) -> TrialCourse:
    """The course of a trial from its parameters.

    Args:
        pattern: symbols 0 and 1, stretched over the presentation.
        n_timesteps: T, steps of the presentation.
        dt: integration step in ms.
        reaction_steps: steps after each onset at which no label counts.
        idle_steps: steps of null input before the presentation, which are not recorded.
        residual_steps: R, steps of null input after it.
        generator: permutes the symbols of the pattern first; None leaves them in their order.
    """
    on = stretch_pattern(pattern, n_timesteps, generator)
    return TrialCourse(dt, tuple(on), tuple(scored_steps(on, reaction_steps)), idle_steps, residual_steps)


def shuffled_by(seed: int, batch: int) -> torch.Generator:
    """The generator that permutes the pattern of a training batch, by the number of batches before it."""
    mixed = np.random.SeedSequence([seed, batch]).generate_state(1)
    return torch.Generator().manual_seed(int(mixed[0]))  # torch heeds 32 bits of a seed, no more
