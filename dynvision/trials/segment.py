"""A trial: segments of steps that follow each other, each with what is on the screen and whether it is scored.

    trial = [idle: null, not recorded] [the presentation] [residual: null, until the last layer has seen the last frame]

Presentation patterns of the training and stimuli of experiments compile to it (:mod:`dynvision.trials.presentation`), and
everything that shows or draws a trial reads it.

    where is contrast defined     :mod:`dynvision.trials.content`
    which steps are scored        `Segment.scored`; the output R steps after a scored step counts, `Trial.labels`
    when is the onset             `Trial.onset_step`, the first step of the presentation that is not null
    when is a sample              `Trial.times_ms`, the end of its step, from the onset
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from dynvision.trials.content import NULL, Content, Null

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from dynvision.noise.blend import NoiseConfig

Phase = Literal["idle", "presentation", "residual"]


@dataclass(frozen=True)
class Segment:
    """Steps in which the same is on the screen.

    Attributes:
        n_steps: how many.
        content: what is on the screen.
        contrast: amplitude about the mean grey; of no meaning for the null input.
        scored: the label of the frame counts.
        phase: ``idle`` is not recorded; ``residual`` lets the last layer see the last frame.
        part: segments of one part of a stimulus, e.g. the frames of a film, have one number; None stands alone.
    """

    n_steps: int
    content: Content = NULL
    contrast: float = 1.0
    scored: bool = False
    phase: Phase = "presentation"
    part: int | None = None

    @property
    def is_null(self) -> bool:
        """Whether the null input is on."""
        return isinstance(self.content, Null)


@dataclass(frozen=True)
class TimedNoise:
    """Noise on the image, drawn anew every ``refresh_steps`` from stimulus onset on; 0 draws once.

    Attributes:
        value: each value of what is shown has draws of its own; 0 where the network is what varies, so that all networks
            see the same noise.
    """

    config: NoiseConfig
    refresh_steps: int
    value: float = 0.0


class TrialStep(NamedTuple):
    """One step of a trial.

    Attributes:
        time_ms: end of the step, since stimulus onset.
        phase: ``idle`` (not recorded), ``presentation`` or ``residual``.
        sees_image: whether something is shown at this step, and not the null input.
        scored_frame_ms: end of the step whose frame's label is compared with the output of this step; None where no
            label counts.
    """

    time_ms: float
    phase: str
    sees_image: bool
    scored_frame_ms: float | None


class TrialPicture(NamedTuple):
    """A picture of a trial and when it is on, in ms from stimulus onset; pixels (H, W, 3) in 0..1."""

    start_ms: float
    end_ms: float
    shown: str
    contrast: float
    pixels: NDArray[np.float32]


@dataclass(frozen=True)
class Trial:
    """Segments in turn.

    Attributes:
        segments: all of them, idle time first.
        dt: integration step in ms.
        value: the value of an experiment's parameter that makes this trial.
        noise: noise on the image, if any.
        onset: the step of the presentation that is time 0, where it is not the first at which something is shown.
    """

    segments: tuple[Segment, ...]
    dt: float = 2.0
    value: float = 0.0
    noise: TimedNoise | None = None
    onset: int | None = None

    def _n_steps(self, phase: Phase) -> int:
        return sum(segment.n_steps for segment in self.segments if segment.phase == phase)

    @property
    def idle_steps(self) -> int:
        """Steps of null input before the presentation, which are not recorded."""
        return self._n_steps("idle")

    @property
    def residual_steps(self) -> int:
        """R: steps of null input after the presentation."""
        return self._n_steps("residual")

    @cached_property
    def recorded(self) -> tuple[Segment, ...]:
        """The segments that are recorded: all but the idle time."""
        return tuple(segment for segment in self.segments if segment.phase != "idle")

    @property
    def n_steps(self) -> int:
        """Steps that are recorded."""
        return sum(segment.n_steps for segment in self.recorded)

    def _each(self, phase: Phase | None = None) -> Iterator[Segment]:
        """Yield the segment of each step that is recorded, or of each of a phase."""
        for segment in self.segments:
            if segment.phase == phase or (phase is None and segment.phase != "idle"):
                yield from (segment for _ in range(segment.n_steps))

    @cached_property
    def on(self) -> tuple[bool, ...]:
        """Whether something is shown, and not the null input, at each of the T steps of the presentation."""
        return tuple(not segment.is_null for segment in self._each("presentation"))

    @cached_property
    def scored(self) -> tuple[bool, ...]:
        """Whether the label of the frame counts, at each of the T steps of the presentation."""
        return tuple(segment.scored for segment in self._each("presentation"))

    @property
    def shown(self) -> list[str]:
        """The word for what is on the screen at each step that is recorded."""
        return [segment.content.shown for segment in self._each()]

    @property
    def visible(self) -> list[bool]:
        """Whether something is shown, and not the null input, at each step that is recorded."""
        return [not segment.is_null for segment in self._each()]

    @property
    def stimulus_on(self) -> list[bool]:
        """Whether the image is on at each step that is recorded, be it at contrast 0."""
        return [segment.content.is_stimulus for segment in self._each()]

    @property
    def onset_step(self) -> int:
        """The step of the presentation that is time 0: the first at which something is shown; 0 if nothing is."""
        if self.onset is not None:
            return self.onset
        return self.on.index(True) if True in self.on else 0

    @property
    def n_others(self) -> int:
        """Number of further images that are needed for each image."""
        return max((segment.content.n_others for segment in self.segments), default=0)

    @property
    def times_ms(self) -> list[float]:
        """The time of each sample that is recorded: the end of its step, in ms from stimulus onset."""
        onset = self.onset_step
        # 0.3 ms, not 0.30000000000000004 ms
        return [round((step + 1 - onset) * self.dt, 9) for step in range(self.n_steps)]

    def labels(self, labels: Tensor, ignore_index: int) -> Tensor:
        """Return labels for every output step: the output at step t + R is scored against the label of frame t.

        Args:
            labels: class of each image, (B,), or of each frame, (B, T).
            ignore_index: label of steps that do not count.

        Returns:
            (B, T + R), int64.
        """
        import torch

        frames = labels.unsqueeze(1).expand(-1, len(self.scored)) if labels.dim() == 1 else labels
        mask = torch.tensor(self.scored, device=labels.device)
        kept = torch.where(mask, frames, torch.full_like(frames, ignore_index))
        return torch.nn.functional.pad(kept, (self.residual_steps, 0), value=ignore_index)

    def steps(self) -> list[TrialStep]:
        """Return every step in turn, idle ones first."""
        onset, lag, n = self.onset_step, self.residual_steps, len(self.on)
        steps = []
        phases = [segment.phase for segment in self.segments for _ in range(segment.n_steps)]
        for step, phase in enumerate(phases, start=-self.idle_steps):
            frame = step - lag
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


def parts_of(trial: Trial) -> Iterator[list[Segment]]:
    """Yield the recorded segments, those of one part of a stimulus together."""
    numbered = enumerate(trial.recorded)
    for _, part in itertools.groupby(
        numbered, key=lambda at: -1 - at[0] if at[1].part is None else at[1].part
    ):
        yield [segment for _, segment in part]
