"""From stored pixels to the network's input: operations in their order, the central square, normalisation.

    x = (p / 255 -> operations -> central square - mean) / sd        p: pixel 0..255; mean, sd: in 0..1, per channel

A channel that never changes has sd = 0 and is divided by 1 instead, so that it is 0 everywhere.

An operation maps images x, (B, C, H, W) in 0..1, to images of the same kind; its settings are in
``dynvision.config.transforms``. Its random choices are made of numbers u, (B, n) in [0, 1), drawn on the CPU by (seed,
epoch, image); each image is treated alone, so that a batch may be cut anywhere. All of it is arithmetic of single pixels,
which gives the same bits whichever loader the pixels come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dynvision.functional.counter_random import random_key, random_uniform
from dynvision.registry import Registry

Draws = NDArray[np.float64]
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601


@dataclass(frozen=True)
class Shown:
    """The size in px that images are shown at, and the mean per channel that becomes 0."""

    resolution: int
    mean: tuple[float, ...]


Apply = Callable[[Tensor, Draws, Mapping[str, Any], Shown], Tensor]


@dataclass(frozen=True)
class PixelOperation:
    """A function with the number of random numbers that it needs for each image."""

    apply: Apply
    n_draws: int


OPERATIONS: Registry[PixelOperation] = Registry("transform operation")


def operation(name: str, n_draws: int) -> Callable[[Apply], Apply]:
    """Register an operation.

    Args:
        name: the name.
        n_draws: random numbers that it needs for each image.

    Raises:
        InputError: the name is taken.
    """

    def add(apply: Apply) -> Apply:
        OPERATIONS.add(name, PixelOperation(apply, n_draws))
        return apply

    return add


@operation("flip", n_draws=1)
def flip(x: Tensor, u: Draws, args: Mapping[str, Any], shown: Shown) -> Tensor:
    """Mirror left and right where u < probability."""
    chosen = np.flatnonzero(u[:, 0] < args["probability"])
    flipped = x.clone()
    if x.device.type == "cpu":  # see `windows`
        for image in chosen.tolist():
            flipped[image] = x[image].flip(2)
    else:
        index = torch.from_numpy(chosen).to(x.device)
        flipped[index] = x[index].flip(3)
    return flipped


@operation("translate", n_draws=2)
def translate(x: Tensor, u: Draws, args: Mapping[str, Any], shown: Shown) -> Tensor:
    """Shift by -n..n px in each direction over a black border."""
    n = args["pixels"]
    start = np.floor(u * (2 * n + 1)).astype(np.int64)
    return windows(F.pad(x, (n, n, n, n)), start[:, 0], start[:, 1], x.shape[2])


@operation("crop", n_draws=2)
def crop(x: Tensor, u: Draws, args: Mapping[str, Any], shown: Shown) -> Tensor:
    """Cut a window of the shown size at a random place."""
    n_places = x.shape[2] - shown.resolution + 1
    start = np.floor(u * n_places).astype(np.int64)
    return windows(x, start[:, 0], start[:, 1], shown.resolution)


def windows(x: Tensor, top: NDArray[np.int64], left: NDArray[np.int64], size: int) -> Tensor:
    """Return a square window of each image.

    Args:
        x: (B, C, H, W).
        top, left: first row and column of each window, (B,).
        size: in px.

    Returns:
        (B, C, size, size).
    """
    if x.device.type == "cpu":  # one copy an image is the fastest here, and one call for all elsewhere
        cut = x.new_empty(*x.shape[:2], size, size)
        for image, (row, column) in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
            cut[image] = x[image, :, row : row + size, column : column + size]
        return cut
    every = x.unfold(2, size, 1).unfold(3, size, 1)  # a view, (B, C, H', W', size, size)
    index = [torch.from_numpy(start).to(x.device) for start in (np.arange(len(x)), top, left)]
    return every[index[0], :, index[1], index[2]].contiguous()


@operation("resized_crop", n_draws=4)
def resized_crop(x: Tensor, u: Draws, args: Mapping[str, Any], shown: Shown) -> Tensor:
    """Cut a window of random area and aspect at a random place, and resize it, bilinear.

    area ~ U(a0, a1) of the image, ln(width / height) ~ U(ln r0, ln r1); a side that would be longer than the image's is
    cut to it. Where Szegedy et al. (2015) draw again until a window fits, this always takes four numbers.
    """
    side = x.shape[2]
    (a0, a1), (r0, r1) = args["area"], args["aspect"]
    area = a0 + (a1 - a0) * u[:, 0]
    aspect = np.exp(math.log(r0) + (math.log(r1) - math.log(r0)) * u[:, 1])
    width, height = (
        np.clip(np.rint(side * np.sqrt(part)), 1, side) for part in (area * aspect, area / aspect)
    )
    left, top = np.floor(u[:, 2] * (side - width + 1)), np.floor(u[:, 3] * (side - height + 1))
    # From -1..1 in the result to -1..1 in the image: scale about the centre of the window.
    zero = np.zeros_like(area)
    rows = [
        [width / side, zero, (2 * left + width) / side - 1],
        [zero, height / side, (2 * top + height) / side - 1],
    ]
    return _resample(x, rows, shown.resolution, "border")


@operation("rotation", n_draws=1)
def rotation(x: Tensor, u: Draws, args: Mapping[str, Any], shown: Shown) -> Tensor:
    """Rotate counter-clockwise by an angle ~ U(-degrees, degrees), bilinear, black outside."""
    angle = np.deg2rad(args["degrees"] * (2 * u[:, 0] - 1))
    cos, sin, zero = np.cos(angle), np.sin(angle), np.zeros_like(angle)
    return _resample(x, [[cos, -sin, zero], [sin, cos, zero]], x.shape[2], "zeros")


def _resample(x: Tensor, rows: list[list[NDArray[np.float64]]], size: int, outside: str) -> Tensor:
    """Return bilinear values at the places to which a 2 x 3 matrix for each image maps those of the result."""
    matrix = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)  # (B, 2, 3)
    theta = torch.from_numpy(matrix).to(x.device, torch.float32)
    centres = (2 * torch.arange(size, device=x.device, dtype=torch.float32) + 1) / size - 1
    across, down = centres[None, None, :], centres[None, :, None]
    at = [
        theta[:, axis, 0, None, None] * across
        + theta[:, axis, 1, None, None] * down
        + theta[:, axis, 2, None, None]
        for axis in (0, 1)
    ]
    return F.grid_sample(x, torch.stack(at, dim=-1), "bilinear", outside, align_corners=False)


@operation("cutout", n_draws=2)
def cutout(x: Tensor, u: Draws, args: Mapping[str, Any], shown: Shown) -> Tensor:
    """Put the mean, which becomes 0, into a square whose centre is anywhere in the image."""
    side, size = x.shape[2], args["size"]
    start = torch.from_numpy(np.floor(u * side).astype(np.int64) - size // 2).to(x.device)
    place = torch.arange(side, device=x.device)
    inside = [(place >= start[:, axis, None]) & (place < start[:, axis, None] + size) for axis in (0, 1)]
    hole = (inside[0][:, :, None] & inside[1][:, None, :])[:, None]
    return torch.where(hole, per_channel(shown.mean, x), x)


@operation("colour_jitter", n_draws=3)
def colour_jitter(x: Tensor, u: Draws, args: Mapping[str, Any], shown: Shown) -> Tensor:
    """Scale brightness by f1, contrast by f2 about the mean m, and saturation by f3 about the luma l.

    x f1, then m + (x - m) f2, then l + (x - l) f3, with f ~ U(1 - strength, 1 + strength). The
    result is cut to 0..1. Grey images have no saturation.
    """
    strengths = np.array([args["brightness"], args["contrast"], args["saturation"]])
    factors = torch.from_numpy(1 + strengths * (2 * u - 1)).to(x.device, torch.float32)
    brightness, contrast, saturation = (factors[:, k, None, None, None] for k in range(3))
    mean = per_channel(shown.mean, x)
    x = (x * brightness - mean) * contrast + mean
    if x.shape[1] == 3:
        luma = _luma(x)
        x = (x - luma) * saturation + luma
    return x.clamp(0, 1)


@operation("grey", n_draws=0)
def grey(x: Tensor, u: Draws, args: Mapping[str, Any], shown: Shown) -> Tensor:
    """Put the luma into all channels."""
    return _luma(x).expand_as(x).contiguous() if x.shape[1] == 3 else x


@operation("invert", n_draws=0)
def invert(x: Tensor, u: Draws, args: Mapping[str, Any], shown: Shown) -> Tensor:
    """Return 1 - x."""
    return 1 - x


def _luma(x: Tensor) -> Tensor:
    red, green, blue = x.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).unsqueeze(1)


def per_channel(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Return one value per channel, (1, C, 1, 1), of the type and on the device of a tensor."""
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)


@dataclass(frozen=True)
class Transform:
    """One way to show images; the same for every loader.

    Attributes:
        operations: ``{name: settings}``, in their order.
        resolution: height and width of the result in px.
        mean: per channel, pixels in 0..1.
        sd: per channel, pixels in 0..1.
        seed: of the random choices.
    """

    operations: tuple[Mapping[str, Mapping[str, Any]], ...]
    resolution: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    seed: int = 0

    def __call__(self, pixels: Tensor, images: NDArray[np.int64], epoch: int) -> Tensor:
        """Show a batch.

        Args:
            pixels: uint8, (B, S, S, C), S >= resolution.
            images: index of each image in its source, (B,): which random numbers are its.
            epoch: likewise.

        Returns:
            Normalised images in memory of their own, float32, (B, C, H, W).
        """
        x = torch.empty(*pixels.permute(0, 3, 1, 2).shape, dtype=torch.float32, device=pixels.device)
        for channel in range(x.shape[1]):  # twice as fast as turning the axes of all at once
            x[:, channel] = pixels[..., channel]
        x = x.div_(255)
        shown = Shown(self.resolution, self.mean)
        for place, step in enumerate(self.operations):
            ((name, settings),) = step.items()
            operation = OPERATIONS[name]
            stream = random_key(self.seed, epoch, torch.from_numpy(images), place)
            u = random_uniform(stream, (operation.n_draws,)).double().numpy()
            x = operation.apply(x, u, settings, shown)
        x = centre(x, self.resolution)
        return x.sub_(per_channel(self.mean, x)).div_(per_channel(self.divisor, x))

    def denormalize(self, images: Tensor) -> Tensor:
        """Return normalised images, (B, C, H, W), in 0..1, to look at."""
        return (images * per_channel(self.divisor, images) + per_channel(self.mean, images)).clamp(0, 1)

    @property
    def divisor(self) -> tuple[float, ...]:
        """sd, with 1 for a channel that never changes."""
        return tuple(value if value > 0 else 1.0 for value in self.sd)


def centre(x: Tensor, size: int) -> Tensor:
    """Return the central square; a side of odd excess loses one pixel more on the right and the bottom."""
    excess = x.shape[2] - size
    if not excess:
        return x
    return x[:, :, excess // 2 : excess // 2 + size, excess // 2 : excess // 2 + size].contiguous()
