"""What is on the screen in a trial, a block of steps at a time, so that no trial is ever in memory as a whole.

    x(t) = null input, or the picture of the segment's content         (:mod:`dynvision.trials.content`)
    x(t) = blend(c x, noise of draw k(t))     k(t) = floor((t - onset) / refresh), or 0 for static noise

Random numbers depend on (seed, image, value, draw) alone, not on the batch. :func:`trial_pictures` shows a trial without
a network.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dynvision.base import Frames
from dynvision.functional.counter_random import random_key, random_normal
from dynvision.noise import PixelScale, blend
from dynvision.trials import Segment, TimedNoise, Trial, TrialPicture, View, parts_of

BLOCK_BYTES = 64 * 2**20  # of the frames that exist at once, where they differ from step to step


@dataclass(frozen=True)
class Screen(View):
    """A batch of images that can be shown in trials."""

    @classmethod
    def of(cls, images: Tensor, device: torch.device) -> Screen:
        """Return images that are known by their place in the batch, with pixels that need no scale."""
        one = torch.ones((1, images.shape[1], 1, 1), device=device)
        indices = torch.arange(len(images), device=device)
        return cls(on_device(images, device), indices, PixelScale(0 * one, one))

    def frames(self, trial: Trial, null: Tensor) -> Iterator[Frames]:
        """Yield what is shown in the recorded part of a trial, in turn; each begins at step 0 of a clock of its own.

        Args:
            trial: the trial.
            null: the null input, (B, C, H, W).
        """
        step = 0
        # The segments of one part of a stimulus are short: they run in blocks, with the same result.
        for segments in parts_of(trial):
            n_steps = sum(segment.n_steps for segment in segments)
            if trial.noise is not None and any(segment.content.takes_noise for segment in segments):
                yield from self._noisy(segments, step - trial.onset_step, trial.noise)
            elif len(segments) == 1:
                yield Frames(0, n_steps, self._picture(segments[0], null), constant=True)
            else:
                for block in self._blocks(segments):
                    pictures = [self._picture(segment, null) for segment in block]
                    shown = [
                        picture
                        for picture, segment in zip(pictures, block, strict=True)
                        for _ in range(segment.n_steps)
                    ]
                    yield Frames(0, len(shown), torch.cat(shown))
            step += n_steps

    def _picture(self, segment: Segment, null: Tensor) -> Tensor:
        return null if segment.is_null else segment.content.picture(self, segment.contrast)

    @property
    def _longest(self) -> int:
        """How many steps of different frames may exist at once."""
        return max(1, BLOCK_BYTES // (self.images.nbytes or 1))

    def _blocks(self, segments: list[Segment]) -> Iterator[list[Segment]]:
        """Yield segments in groups of as many steps as may exist at once, long ones cut."""
        block: list[Segment] = []
        room = self._longest
        for segment in segments:
            left = segment.n_steps
            while left:
                n = min(left, room)
                block.append(Segment(n, segment.content, segment.contrast, segment.scored))
                left, room = left - n, room - n
                if not room:
                    yield block
                    block, room = [], self._longest
        if block:
            yield block

    def _noisy(self, segments: list[Segment], since_onset: int, noise: TimedNoise) -> Iterator[Frames]:
        """Yield images with noise.

        Args:
            segments: what they are.
            since_onset: steps from stimulus onset to the first of them.
            noise: the noise.
        """
        static = not noise.refresh_steps or noise.config.ssnr == 1
        for segment in segments:
            picture = segment.content.picture(self, 1.0)
            if static:
                image = self._with_draws(picture, segment.contrast, noise, torch.zeros(1, dtype=torch.int64))
                yield Frames(0, segment.n_steps, image, constant=True)
            else:
                yield from self._drawn_anew(picture, segment, since_onset, noise)
            since_onset += segment.n_steps

    def _drawn_anew(
        self, picture: Tensor, segment: Segment, since_onset: int, noise: TimedNoise
    ) -> Iterator[Frames]:
        end = since_onset + segment.n_steps
        for first in range(since_onset, end, self._longest):
            steps = torch.arange(first, min(first + self._longest, end))
            draws, of_step = torch.unique_consecutive(steps // noise.refresh_steps, return_inverse=True)
            images = self._with_draws(picture, segment.contrast, noise, draws)
            by_step = images.unflatten(0, (len(draws), -1)).index_select(0, on_device(of_step, images.device))
            yield Frames(0, len(steps), by_step.flatten(0, 1))

    def _with_draws(self, picture: Tensor, contrast: float, noise: TimedNoise, draws: Tensor) -> Tensor:
        """Return the images with several draws of noise, (n B, C, H, W), draw by draw."""
        device = picture.device
        key = random_key(
            noise.config.seed, self.indices, _bits(noise.value), on_device(draws, device)[:, None]
        ).flatten()
        images = picture.repeat(len(draws), 1, 1, 1)
        return blend(images, contrast, noise.config, key, self.scale)


def on_device(x: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the host on a device, without waiting for what a GPU computes meanwhile."""
    return (
        x.pin_memory().to(device, non_blocking=True)
        if device.type == "cuda" and not x.is_cuda
        else x.to(device)
    )


def _bits(value: float) -> int:
    """Return a number's 64 bits as a whole number, so that each value has noise of its own, wherever it is in a list."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


MOST_OF_A_PART = 5  # pictures of a part that changes from step to step


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
