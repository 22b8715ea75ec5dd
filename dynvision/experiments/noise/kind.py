"""What a kind of noise is: a function of an image, a variance and a key. The kinds are the files beside this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from dynvision.errors import taken_name


@dataclass(frozen=True)
class PixelScale:
    """How pixels p in 0..1 became the network's input: x = (p - mean) / sd.

    Attributes:
        mean, sd: per channel, (1, C, 1, 1).
    """

    mean: Tensor
    sd: Tensor

    def to_pixels(self, x: Tensor) -> Tensor:
        """Pixels of a normalised image, (B, C, H, W)."""
        return x * self.sd + self.mean

    def from_pixels(self, p: Tensor) -> Tensor:
        """The network's input from pixels, (B, C, H, W)."""
        return (p - self.mean) / self.sd


@dataclass(frozen=True)
class NoiseRequest:
    """What noise is asked for.

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


NoiseFunction = Callable[[NoiseRequest], Tensor]
NOISES: dict[str, NoiseFunction] = {}


def register(name: str) -> Callable[[NoiseFunction], NoiseFunction]:
    """Make a function known as a kind of noise. It returns what is added to the images, (B, C, H, W), with mean 0.

    Raises:
        InputError: the name is taken.
    """

    def add(function: NoiseFunction) -> NoiseFunction:
        if name in NOISES:
            raise taken_name("noise", name)
        NOISES[name] = function
        return function

    return add
