"""Operations on each unit of a layer alone: biases, noise on the drive, supralinearity."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dynvision.errors import unknown_name
from dynvision.functional.leaky_steps import HAS_TRITON
from dynvision.functional.maps import is_transformed, supralinear
from dynvision.model_components.timing import StatefulOperation


class Bias(nn.Module):
    """``x + b`` with b, at first 0, of a shape that broadcasts to x, (B, C, H, W)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class SpatialBias(Bias):
    """One bias per unit, shape (C, H, W)."""

    def __init__(self, n_channels: int, height: int, width: int) -> None:
        super().__init__((n_channels, height, width))


class FeatureBias(Bias):
    """One bias per channel, shape (C, 1, 1)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__((n_channels, 1, 1))


class ScalarBias(Bias):
    """One bias for the whole layer."""

    def __init__(self) -> None:
        super().__init__((1,))


def create_bias(kind: str, n_channels: int, height: int, width: int) -> Bias | None:
    """A bias by name.

    Args:
        kind: ``none``, ``spatial`` (of each unit), ``feature`` (of each channel) or ``scalar`` (one).
        n_channels, height, width: shape of the maps; height and width in px.

    Returns:
        The bias; None for ``none``.

    Raises:
        InputError: the name is not known.
    """
    kinds: dict[str, Callable[[], Bias | None]] = {
        "none": lambda: None,
        "spatial": lambda: SpatialBias(n_channels, height, width),
        "feature": lambda: FeatureBias(n_channels),
        "scalar": ScalarBias,
    }
    if kind not in kinds:
        raise unknown_name("bias", kind, kinds, key="unit_bias")
    return kinds[kind]()


class DriveNoise(StatefulOperation):
    """Gaussian noise on the drive, ``z'(t) = z(t) + sd xi(t)``, xi independent over units and steps.

    Each layer draws from a seed of its own, itself drawn from torch's generator at the start of a trial: the noise follows
    the run's seed and does not depend on how the engine cuts time into blocks. The numbers of a GPU are others than those
    of a CPU. Source: ours.

    Args:
        sd: standard deviation, in units of the drive.
    """

    def __init__(self, sd: float) -> None:
        super().__init__()
        self.sd = sd

    def start(self) -> Tensor:
        return torch.randint(2**62, (), device="cpu")

    def step(self, x: Tensor, state: Tensor, r: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.run(x, 1, state)

    def run(self, x: Tensor, n: int, state: Tensor) -> tuple[Tensor, Tensor]:
        if HAS_TRITON and x.is_cuda and not is_transformed():
            from dynvision.functional.noise_triton import AddNoise

            return AddNoise.apply(x, n, state, self.sd), state + n
        seed, noise = int(state), []
        for frame in x.unflatten(0, (n, -1)).unbind():
            generator = torch.Generator(x.device).manual_seed(seed)
            noise.append(torch.randn(frame.shape, generator=generator, device=x.device, dtype=x.dtype))
            seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**62
        noise_of_steps = noise[0] if n == 1 else torch.cat(noise)
        return x + self.sd * noise_of_steps, torch.tensor(seed, device="cpu")


class SupraLinearity(nn.Module):
    """``k sign(x) |x|^n``; args: n exponent, k gain."""

    def __init__(self, n: float = 1.8, k: float = 0.8) -> None:
        super().__init__()
        self.n, self.k = n, k

    def forward(self, x: Tensor) -> Tensor:
        return supralinear(x, self.n, self.k)
