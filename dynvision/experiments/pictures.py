"""The pictures of a trial: what is on the screen, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dynvision.experiments.screen import Screen
from dynvision.functional.counter_random import random_key, random_normal
from dynvision.noise import PixelScale
from dynvision.trials import Segment, Trial, parts_of

MOST_OF_A_PART = 5  # pictures of a part that changes from step to step


class TrialPicture(NamedTuple):
    """A picture of a trial and when it is on, in ms from stimulus onset; pixels (H, W, 3) in 0..1."""

    start_ms: float
    end_ms: float
    shown: str
    contrast: float
    pixels: NDArray[np.float32]


def trial_pictures(trial: Trial, screen: Screen, null: float) -> Iterator[TrialPicture]:
    """Yield what the first image of a screen looks like in a trial, in turn.

    Args:
        trial: the trial.
        screen: the images.
        null: value of the null input, normalised.
    """
    first_step = -trial.onset_step
    blocks = screen.frames(trial, torch.full_like(screen.images, null))
    for segments in parts_of(trial):
        left = sum(segment.n_steps for segment in segments)
        of_step = [segment for segment in segments for _ in range(segment.n_steps)]
        done = 0
        while left:
            frames = next(blocks)
            steps, shown = frames.steps(), of_step[done : done + frames.n]
            chosen = [0] if frames.constant else _chosen(shown)
            for begin in chosen:
                end = frames.n if frames.constant else begin + 1
                while end < frames.n and torch.equal(steps[end], steps[begin]):
                    end += 1
                pixels = screen.scale.to_pixels(steps[begin])[0].permute(1, 2, 0).cpu().numpy()
                yield TrialPicture(
                    (first_step + done + begin) * trial.dt,
                    (first_step + done + end) * trial.dt,
                    shown[begin].content.shown,
                    float("nan") if shown[begin].is_null else shown[begin].contrast,
                    np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.float32),
                )
            done, left = done + frames.n, left - frames.n
        first_step += done


def _chosen(shown: list[Segment]) -> list[int]:
    """Return steps of a part that are worth a picture: where contrast turns, or else evenly spread over the part."""
    contrast = [segment.contrast for segment in shown]
    if len(set(contrast)) > 1:
        slopes = np.diff(contrast)
        moving = np.flatnonzero(np.abs(slopes) > 1e-9)  # the two steps about an extremum may be alike
        turned = np.sign(slopes[moving[1:]]) != np.sign(slopes[moving[:-1]])
        return [0, *(int(k) for k in moving[1:][turned])][:MOST_OF_A_PART]
    n = min(MOST_OF_A_PART, len(shown))
    return sorted({round(k * (len(shown) - 1) / max(n - 1, 1)) for k in range(n)})


def example_screen(shape: tuple[int, int, int], n_others: int) -> Screen:
    """Return a screen with a blob of light, and blobs at other places for the images that follow, where no data are given.

    Args:
        shape: (C, H, W).
        n_others: images that follow.
    """
    channels, height, width = shape
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    places = 0.9 * random_normal(random_key(1, torch.arange(1 + n_others)), (2,)).clamp(-0.6, 0.6)
    places[0] = 0
    blobs = torch.exp(-((x - places[:, 0, None, None]) ** 2 + (y - places[:, 1, None, None]) ** 2) / 0.18)
    images = (blobs[:, None].expand(-1, channels, -1, -1) - 0.3) / 0.3
    scale = PixelScale(*(torch.full((1, channels, 1, 1), value) for value in (0.35, 0.3)))
    return Screen(
        images[:1], torch.zeros(1, dtype=torch.int64), scale, images[None, 1:] if n_others else None
    )
