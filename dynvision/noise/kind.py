"""A kind of noise: a function of an image, a variance and a key.

    @register("gaussian", "independent in every pixel and channel")
    def gaussian(request: NoiseRequest) -> Tensor: ...

The function returns what is added to the image: mean 0, the variance of the request, and the same numbers for the same
key, whatever else is in the batch. Kinds import torch inside the function, since planning reads their names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynvision.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PixelScale:
    """The scale from pixels p in 0..1 to the network's input: x = (p - mean) / sd.

    Attributes:
        mean, sd: per channel, (1, C, 1, 1).
    """

    mean: Tensor
    sd: Tensor

    def to_pixels(self, x: Tensor) -> Tensor:
        """Return the pixels of a normalised image, (B, C, H, W)."""
        return x * self.sd + self.mean

    def from_pixels(self, p: Tensor) -> Tensor:
        """Return the network's input from pixels, (B, C, H, W)."""
        return (p - self.mean) / self.sd


@dataclass(frozen=True)
class NoiseRequest:
    """A request for noise.

    Attributes:
        x: normalised images, (B, C, H, W).
        variance: of the noise, averaged over the units of an image, (B, 1, 1, 1), in units of x squared.
        key: of the random numbers, (B,).
        scale: of the pixels of x.
        correlation_px: sd of the Gaussian that smoothes correlated noise, in px.
    """

    x: Tensor
    variance: Tensor
    key: Tensor
    scale: PixelScale
    correlation_px: float = 1.0


NoiseFunction = Callable[[NoiseRequest], "Tensor"]


@dataclass(frozen=True)
class NoiseKind:
    """A registered kind of noise.

    Attributes:
        draw: returns what is added to the images, (B, C, H, W).
        about: the kind in a few words.
        signal_dependent: what it does to a pixel depends on the pixel, so that it cannot be mixed with the image.
    """

    draw: NoiseFunction
    about: str
    signal_dependent: bool = False

    def __call__(self, request: NoiseRequest) -> Tensor:
        """Return what is added to the images, (B, C, H, W)."""
        return self.draw(request)


NOISES: Registry[NoiseKind] = Registry("noise", key="noise.type", package="dynvision.noise")


def register(
    name: str, about: str = "", signal_dependent: bool = False
) -> Callable[[NoiseFunction], NoiseFunction]:
    """Return a decorator that registers a function as a kind of noise.

    Args:
        name: the name in configurations.
        about: the kind in a few words; by default the first line of the docstring.
        signal_dependent: what it does to a pixel depends on the pixel.

    Raises:
        InputError: the name is taken.
    """

    def add(function: NoiseFunction) -> NoiseFunction:
        words = about or (function.__doc__ or name).strip().splitlines()[0]
        NOISES.add(name, NoiseKind(function, words, signal_dependent))
        return function

    return add
