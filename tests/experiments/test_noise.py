"""Noise: variance, spectrum and limits of every kind, by both definitions, and what it depends on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dynvision.config.section import validate
from dynvision.errors import InputError
from dynvision.functional.counter_random import random_key
from dynvision.noise import NOISES, NoiseRequest, PixelScale, register
from dynvision.noise.blend import NoiseConfig, blend, mask_of
from dynvision.stimuli import read_stimulus
from dynvision.trials import Mask

SCALE = PixelScale(
    torch.tensor([0.40, 0.50, 0.45]).view(1, 3, 1, 1), torch.tensor([0.25, 0.30, 0.20]).view(1, 3, 1, 1)
)
N_DRAWS = 3000
KINDS = list(NOISES)
INDEPENDENT = [kind for kind in KINDS if not NOISES[kind].signal_dependent]


def images(n: int = 1, size: int = 12) -> Tensor:
    """Smooth images with pixels between 0.1 and 0.9, normalised."""
    generator = torch.Generator().manual_seed(3)
    rough = torch.rand((n, 3, size + 4, size + 4), generator=generator)
    smooth = torch.nn.functional.avg_pool2d(rough, 5, 1)
    low, high = smooth.amin(dim=(1, 2, 3), keepdim=True), smooth.amax(dim=(1, 2, 3), keepdim=True)
    return SCALE.from_pixels(0.1 + 0.8 * (smooth - low) / (high - low))


def draws(kind: str, x: Tensor, ssnr: float, n: int = N_DRAWS, **config: Any) -> Tensor:
    """What is seen of one image in many draws, (n, C, H, W)."""
    key = random_key(7, torch.arange(n))
    return blend(x.expand(n, -1, -1, -1), 1.0, NoiseConfig(type=kind, ssnr=ssnr, **config), key, SCALE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ssnr", [0.3, 0.8])
def test_additive_noise_has_the_variance_that_the_signal_fraction_asks_for(kind: str, ssnr: float) -> None:
    """v = Var(x) (1 - s) / s within 1 %, and mean 0: the signal is not dimmed."""
    x = images()
    n_draws = 40_000 if kind == "saltpepper" else N_DRAWS  # few pixels are replaced
    noise = draws(kind, x, ssnr, n_draws) - x
    wanted = x.var(correction=0) * (1 - ssnr) / ssnr
    assert noise.square().mean() == pytest.approx(wanted.item(), rel=0.01)
    if kind != "saltpepper":  # what replaces a pixel has the mean of black and white
        se = (wanted / N_DRAWS).sqrt().item()
        assert noise.mean(dim=0).abs().max().item() < 6 * se
    recovered = x.var(correction=0) / (x.var(correction=0) + noise.square().mean())
    assert recovered.item() == pytest.approx(ssnr, abs=0.005)


@pytest.mark.parametrize("kind", KINDS)
def test_signal_fractions_1_and_0(kind: str) -> None:
    x = images()
    assert torch.equal(draws(kind, x, 1.0, n=1), x)
    alone = draws(kind, x, 0.0)
    assert alone.square().mean() == pytest.approx(x.var(correction=0).item(), rel=0.01)
    # nothing of the image is left in the mean over draws
    assert alone.mean(dim=0).abs().max().item() < 0.15


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "phasescrambled"])
def test_noise_alone_knows_nothing_of_the_image(kind: str) -> None:
    """Two images of the same variance, one upside down, in the same noise."""
    x = images()
    assert torch.allclose(draws(kind, x, 0.0, n=5), draws(kind, x.flip(2), 0.0, n=5), atol=1e-6)


@pytest.mark.parametrize("kind", INDEPENDENT)
@pytest.mark.parametrize("ssnr", [0.0, 0.4, 1.0])
def test_mixed_noise_is_jangs_definition(kind: str, ssnr: float) -> None:
    """p' = 1/2 + s (p - 1/2) + (1 - s) n with sd(n) = 0.1, in pixels; so small that next to nothing is clipped."""
    x = SCALE.from_pixels(0.5 + 0.3 * (SCALE.to_pixels(images()) - 0.5))
    seen = SCALE.to_pixels(draws(kind, x, ssnr, definition="mix", sd=0.1))
    signal = 0.5 + ssnr * (SCALE.to_pixels(x) - 0.5)
    noise = seen - signal
    assert noise.std(correction=0).item() == pytest.approx((1 - ssnr) * 0.1, rel=0.01, abs=1e-7)
    assert noise.mean().item() == pytest.approx(0, abs=1e-3)
    assert seen.min() >= -1e-6 and seen.max() <= 1 + 1e-6


def test_mixed_noise_is_clipped_to_what_a_screen_can_show() -> None:
    seen = SCALE.to_pixels(draws("gaussian", images(), 0.5, definition="mix", sd=1.0, n=50))
    assert seen.min().item() == pytest.approx(0, abs=1e-6) and seen.max().item() == pytest.approx(1, abs=1e-6)


def of_unit_variance(kind: str, x: Tensor, n: int = N_DRAWS, **more: Any) -> Tensor:
    key = random_key(11, torch.arange(n))
    return NOISES[kind](NoiseRequest(x.expand(n, -1, -1, -1), torch.ones((n, 1, 1, 1)), key, SCALE, **more))


def test_gaussian_and_uniform_noise_are_what_they_are_called() -> None:
    gaussian, uniform = (of_unit_variance(kind, images()) for kind in ("gaussian", "uniform"))
    assert (gaussian**4).mean().item() == pytest.approx(3, rel=0.02)
    assert (gaussian.abs() < 1).float().mean().item() == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.002)
    assert uniform.abs().max().item() == pytest.approx(math.sqrt(3), rel=1e-4)
    assert (uniform**4).mean().item() == pytest.approx(9 / 5, rel=0.02)


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_neighbours_and_channels_are_independent(kind: str) -> None:
    noise = of_unit_variance(kind, images())
    for a, b in (
        (noise[..., 1:], noise[..., :-1]),
        (noise[..., 1:, :], noise[..., :-1, :]),
        (noise[:, :1], noise[:, 1:2]),
        (noise[1:], noise[:-1]),
    ):
        assert (a * b).mean().item() == pytest.approx(0, abs=6 / math.sqrt(a.numel()))


def test_correlated_noise_has_the_correlation_of_a_smoothed_field() -> None:
    """exp(-d^2 / (4 sigma^2)), on a torus that is large beside sigma; every pixel has the same variance."""
    sigma = 1.2
    noise = of_unit_variance("gaussiancorr", images(size=16), correlation_px=sigma)
    assert noise.square().mean(dim=(0, 1)).numpy() == pytest.approx(np.ones((16, 16)), rel=0.1)
    for d in (1, 2, 3):
        assert (noise * noise.roll(d, dims=-1)).mean().item() == pytest.approx(
            math.exp(-(d**2) / (4 * sigma**2)), abs=0.01
        )


def test_phase_scrambled_noise_has_the_amplitudes_of_the_image() -> None:
    x = images()
    noise = of_unit_variance("phasescrambled", x, n=20)
    wanted = torch.fft.fft2(x).abs()
    wanted[..., 0, 0] = 0
    wanted = (
        wanted * (noise[0].numel() / noise[0].square().sum() / x.var(dim=(2, 3), correction=0).mean()).sqrt()
    )
    got = torch.fft.fft2(noise).abs()
    assert torch.allclose(got, wanted.expand_as(got), rtol=1e-3, atol=1e-3)
    a, b = noise[0].flatten(), noise[1].flatten()
    assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1].item()) < 0.5


def test_photon_noise_grows_with_intensity() -> None:
    """Var(n) = p / (K sd^2), pixel by pixel."""
    x = images()
    noise = of_unit_variance("poisson", x, n=20_000)
    p = SCALE.to_pixels(x)
    shape = p / SCALE.sd.square()
    wanted = shape / shape.mean()
    assert noise.square().mean(dim=0).numpy() == pytest.approx(wanted[0].numpy(), rel=0.08)


def test_salt_and_pepper_replace_as_often_as_the_variance_needs() -> None:
    x = images()
    seen = SCALE.to_pixels(draws("saltpepper", x, 0.5))
    p = SCALE.to_pixels(x)
    untouched = ((seen - p).abs() < 1e-5).all(dim=1)
    replaced = ((seen.abs() < 1e-5) | ((seen - 1).abs() < 1e-5)).all(dim=1)
    assert (untouched | replaced).all()
    black, white = SCALE.from_pixels(torch.zeros(1)), SCALE.from_pixels(torch.ones(1))
    distance = ((black - x).square() + (white - x).square()).mean() / 2
    assert replaced.float().mean().item() == pytest.approx((x.var(correction=0) / distance).item(), rel=0.01)


def test_a_kind_from_outside_the_package_is_noise_and_mask() -> None:
    @register("checks")
    def checks(request: NoiseRequest) -> Tensor:
        """A checkerboard of random polarity."""
        height, width = request.x.shape[-2:]
        board = (torch.arange(height)[:, None] + torch.arange(width)) % 2 * 2.0 - 1
        return board * (request.key % 2 * 2 - 1).view(-1, 1, 1, 1) * request.variance.sqrt()

    try:
        assert NOISES["checks"].about == "A checkerboard of random polarity."
        x = images()
        noise = draws("checks", x, 0.5, n=4) - x
        assert noise.square().mean().item() == pytest.approx(x.var(correction=0).item(), rel=1e-4)
        assert read_stimulus({"type": "masked", "mask": "checks"}).spans()[-1].content == Mask("checks")
        assert "checks" in NoiseConfig.model_json_schema()["properties"]["type"]["enum"]
        with pytest.raises(InputError, match="the noise name 'checks' is taken"):
            register("checks")(checks)
    finally:
        NOISES.remove("checks")
    with pytest.raises(InputError, match="unknown noise 'checks'"):
        validate(NoiseConfig, {"type": "checks"}, "")


@pytest.mark.parametrize("kind", KINDS)
def test_noise_does_not_depend_on_the_batch(kind: str) -> None:
    x, key = images(5), random_key(1, torch.arange(5))
    config = NoiseConfig(type=kind, ssnr=0.4)
    together = blend(x, 0.7, config, key, SCALE)
    alone = torch.cat([blend(x[[i]], 0.7, config, key[[i]], SCALE) for i in range(5)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.equal(together, blend(x, 0.7, config, key, SCALE))
    others = blend(x, 0.7, config, random_key(2, torch.arange(5)), SCALE)
    assert (together - others).abs().amax(dim=(1, 2, 3)).min() > 0.01


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ssnr", [0.0, 0.5])
def test_flat_images_are_possible(kind: str, ssnr: float) -> None:
    """A black image has variance 0, so its noise has, too."""
    black = SCALE.from_pixels(torch.zeros((2, 3, 8, 8)))
    flat = black.mean(dim=(2, 3), keepdim=True).expand_as(black) * 0 + 0.3
    for x in (flat, black):
        assert (
            blend(x, 1.0, NoiseConfig(type=kind, ssnr=ssnr), random_key(torch.arange(2)), SCALE)
            .isfinite()
            .all()
        )


def test_contrast_is_of_the_image_and_not_of_the_noise() -> None:
    x = images()
    key = random_key(torch.arange(1))
    config = NoiseConfig(type="gaussian", ssnr=0.5)
    full, half = (blend(x, contrast, config, key, SCALE) for contrast in (1.0, 0.5))
    assert torch.allclose(full - half, 0.5 * x, atol=1e-6)


def test_masks_have_the_variance_of_their_image() -> None:
    x = images(4)
    for kind in ("phasescrambled", "gaussian"):
        mask = mask_of(x, kind, random_key(torch.arange(4)), SCALE)
        for one, image in zip(mask, x, strict=True):
            rel = 1e-4 if kind == "phasescrambled" else 0.2
            assert one.square().mean().item() == pytest.approx(image.var(correction=0).item(), rel=rel)
