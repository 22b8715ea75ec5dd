"""Operations against plain loops over images and pixels; each image alone; every name configurable."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dynvision.config import transforms as configured
from dynvision.config.data import DATASETS
from dynvision.config.transforms import PRESETS, resolve_transform
from dynvision.data.transform import OPERATIONS, Shown, Transform, centre, operation, windows
from dynvision.functional.counter_random import random_key, random_uniform

MEAN, SD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def images(n: int = 6, size: int = 12, seed: int = 0) -> torch.Tensor:
    """Random images, (n, 3, size, size) in 0..1."""
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def apply(name: str, x: torch.Tensor, u: np.ndarray, resolution: int = 0, **settings: object) -> torch.Tensor:
    (resolved,) = resolve_transform([{name: settings}], "test")
    before = x.clone()
    shown = OPERATIONS[name].apply(x, u, resolved[name], Shown(resolution or x.shape[2], MEAN))
    assert torch.equal(x, before)  # what is given is left alone
    return shown


def draws(name: str, n: int = 6, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((n, OPERATIONS[name].n_draws))


def test_every_operation_can_be_configured() -> None:
    assert set(OPERATIONS) == set(configured.OPERATIONS)
    for name, args in configured.OPERATIONS.items():
        assert args.random == (OPERATIONS[name].n_draws > 0)
    with pytest.raises(ValueError, match="is taken"):
        operation("flip", 1)(OPERATIONS["flip"].apply)


def test_flip() -> None:
    x, u = images(), draws("flip")
    shown = apply("flip", x, u, probability=0.4)
    for k in range(6):
        assert torch.equal(shown[k], x[k].flip(2) if u[k, 0] < 0.4 else x[k])


def test_translate_shows_black_behind_the_image() -> None:
    x, u = images(), draws("translate")
    shown = apply("translate", x, u, pixels=3)
    for k in range(6):
        down, right = (int(v * 7) - 3 for v in u[k])
        for row in range(12):
            for column in range(12):
                source = row + down, column + right
                inside = all(0 <= place < 12 for place in source)
                expected = x[k, :, source[0], source[1]] if inside else torch.zeros(3)
                assert torch.equal(shown[k, :, row, column], expected)


def test_crop_is_a_window_anywhere() -> None:
    x, u = images(), draws("crop")
    shown = apply("crop", x, u, resolution=8)
    for k in range(6):
        top, left = (int(v * 5) for v in u[k])
        assert torch.equal(shown[k], x[k, :, top : top + 8, left : left + 8])


def test_windows_of_all_images_at_once_are_the_same() -> None:
    """What a GPU computes, here on a device that pretends to be one."""
    x, starts = images(), np.random.default_rng(0).integers(0, 5, (2, 6))
    every = x.unfold(2, 8, 1).unfold(3, 8, 1)
    at_once = every[torch.arange(6), :, torch.from_numpy(starts[0]), torch.from_numpy(starts[1])]
    assert torch.equal(at_once, windows(x, starts[0], starts[1], 8))


def bilinear(image: np.ndarray, row: float, column: float, outside: str) -> np.ndarray:
    """The value between pixels, whose centres have whole coordinates."""
    size, value = image.shape[1], np.zeros(3)
    if outside == "border":
        row, column = (min(max(place, 0), size - 1) for place in (row, column))
    for near_row in (math.floor(row), math.floor(row) + 1):
        for near_column in (math.floor(column), math.floor(column) + 1):
            if 0 <= near_row < size and 0 <= near_column < size:
                weight = (1 - abs(row - near_row)) * (1 - abs(column - near_column))
                value += weight * image[:, near_row, near_column]
    return value


def test_resized_crop() -> None:
    x, u = images(n=4), draws("resized_crop", n=4)
    shown = apply("resized_crop", x, u, resolution=5, area=[0.2, 0.8])
    for k in range(4):
        area = 0.2 + 0.6 * u[k, 0]
        aspect = math.exp(math.log(0.75) + math.log(16 / 9) * u[k, 1])
        width, height = (min(round(12 * math.sqrt(part)), 12) for part in (area * aspect, area / aspect))
        left, top = int(u[k, 2] * (13 - width)), int(u[k, 3] * (13 - height))
        for row in range(5):
            for column in range(5):
                place = top + (row + 0.5) * height / 5 - 0.5, left + (column + 0.5) * width / 5 - 0.5
                expected = bilinear(x[k].numpy(), *place, "border")
                assert np.abs(shown[k, :, row, column].numpy() - expected).max() < 1e-5


def test_resized_crop_of_everything_is_the_image() -> None:
    x = images()
    shown = apply("resized_crop", x, draws("resized_crop"), area=[1.0, 1.0], aspect=[1.0, 1.0])
    assert torch.allclose(shown, x, atol=1e-5)


def test_rotation() -> None:
    x, u = images(n=3), np.array([[0.0], [0.5], [0.9]])
    shown = apply("rotation", x, u, degrees=30)
    assert torch.allclose(shown[1], x[1], atol=1e-5)
    for k in (0, 2):
        angle = math.radians(30 * (2 * u[k, 0] - 1))
        for row in range(12):
            for column in range(12):
                right, down = column - 5.5, row - 5.5
                place = (
                    5.5 + math.sin(angle) * right + math.cos(angle) * down,
                    5.5 + math.cos(angle) * right - math.sin(angle) * down,
                )
                expected = bilinear(x[k].numpy(), *place, "zeros")
                assert np.abs(shown[k, :, row, column].numpy() - expected).max() < 1e-5


def test_rotation_by_a_right_angle_turns_counter_clockwise() -> None:
    x = images(n=1)
    shown = apply("rotation", x, np.array([[1.0]]), degrees=90)
    assert torch.allclose(shown, torch.rot90(x, 1, (2, 3)), atol=1e-5)


def test_cutout_shows_the_mean() -> None:
    x, u = images(), draws("cutout")
    shown = apply("cutout", x, u, size=5)
    for k in range(6):
        top, left = (int(v * 12) - 2 for v in u[k])
        expected = x[k].clone()
        expected[:, max(top, 0) : top + 5, max(left, 0) : left + 5] = torch.tensor(MEAN)[:, None, None]
        assert torch.equal(shown[k], expected)


def test_colour_jitter() -> None:
    x, u = images(), draws("colour_jitter")
    shown = apply("colour_jitter", x, u, brightness=0.5, contrast=0.4, saturation=0.3)
    luma = np.array([0.299, 0.587, 0.114])
    for k in range(6):
        f1, f2, f3 = (1 + s * (2 * v - 1) for s, v in zip((0.5, 0.4, 0.3), u[k], strict=True))
        pixel = x[k, :, 3, 7].double().numpy() * f1
        pixel = (pixel - MEAN) * f2 + MEAN
        pixel = (luma @ pixel) + (pixel - luma @ pixel) * f3
        assert np.abs(shown[k, :, 3, 7].numpy() - np.clip(pixel, 0, 1)).max() < 1e-6


def test_grey_and_invert() -> None:
    x = images()
    grey = apply("grey", x, draws("grey"))
    assert torch.allclose(grey[:, 1], (x * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1))
    assert torch.equal(grey[:, 0], grey[:, 2])
    assert torch.equal(apply("invert", x, draws("invert")), 1 - x)


def pixels(n: int, size: int, n_channels: int, seed: int = 3) -> torch.Tensor:
    shape = (n, size, size, n_channels)
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


EVERYTHING = resolve_transform(
    [{"rotation": 20}, {"resized_crop": [0.5, 1]}, {"translate": 2}, "flip", {"cutout": 3}, "colour_jitter"],
    "",
)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_each_image_is_treated_alone(n_channels: int) -> None:
    """Cut into other batches, in another order, the same bits."""
    transform = Transform(EVERYTHING, 16, MEAN[:n_channels], SD[:n_channels], seed=5)
    given, indices = pixels(37, 20, n_channels), np.arange(100, 137)
    whole = transform(given, indices, epoch=2)
    for batch in np.split(np.random.default_rng(0).permutation(37), [1, 9, 26]):
        assert torch.equal(transform(given[torch.from_numpy(batch)], indices[batch], 2), whole[batch])


def test_augmentation_is_a_function_of_seed_epoch_and_image() -> None:
    given, indices = pixels(4, 16, 3), np.arange(4)
    shown = {
        (seed, epoch): Transform(EVERYTHING, 16, MEAN, SD, seed)(given, indices, epoch)
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert torch.equal(shown[0, 1], Transform(EVERYTHING, 16, MEAN, SD, 0)(given, indices, 1))
    distinct = list(shown.values())
    assert not any(torch.equal(a, b) for i, a in enumerate(distinct) for b in distinct[:i])


def test_operations_draw_numbers_of_their_own() -> None:
    twice = Transform(resolve_transform([{"translate": 2}, {"translate": 2}], ""), 16, (0.0,), (1.0,), 1)
    given = pixels(1, 16, 1)
    u = [random_uniform(random_key(1, 0, torch.tensor([9]), place), (2,))[0].numpy() for place in (0, 1)]
    first, second = (np.floor(numbers * 5).astype(int) - 2 for numbers in u)
    shown = torch.from_numpy(np.zeros((16, 16), np.float32))
    once = torch.zeros(16, 16)
    for moved, source, shift in ((once, given[0, :, :, 0] / 255, first), (shown, once, second)):
        for row in range(16):
            for column in range(16):
                r, c = row + shift[0], column + shift[1]
                if 0 <= r < 16 and 0 <= c < 16:
                    moved[row, column] = source[r, c]
    assert torch.equal(twice(given, np.array([9]), 0)[0, 0], shown)


def test_without_operations_it_is_the_normalised_centre() -> None:
    given = pixels(2, 9, 3)
    shown = Transform((), 6, MEAN, SD)(given, np.arange(2), 0)
    expected = (given[:, 1:7, 1:7].numpy() / 255 - MEAN) / SD
    assert np.abs(shown.numpy() - expected.transpose(0, 3, 1, 2)).max() < 1e-6
    assert shown.is_contiguous()
    assert centre(torch.arange(25.0).view(1, 1, 5, 5), 2).tolist() == [[[[6, 7], [11, 12]]]]


def test_settings_have_short_and_long_forms() -> None:
    forms = (
        ["flip", {"translate": 3}],
        [{"flip": {}}, {"translate": {"pixels": 3}}],
        [{"flip": None}, {"translate": "3"}],
    )
    resolved = [resolve_transform(form, "x") for form in forms]
    assert resolved[0] == resolved[1] == resolved[2]
    assert resolved[0] == ({"flip": {"probability": 0.5}}, {"translate": {"pixels": 3}})
    assert resolve_transform(list(resolved[0]), "x") == resolved[0]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_possible(name: str) -> None:
    operations = resolve_transform(name, "x")
    facts = DATASETS.get(name.rpartition("_")[0], DATASETS["cifar10"])
    size = round(facts.resolution * facts.margin)
    transform = Transform(operations, facts.resolution, facts.mean, facts.sd)
    shown = transform(pixels(2, size, facts.n_channels), np.arange(2), 0)
    assert shown.shape == (2, facts.n_channels, facts.resolution, facts.resolution)
    assert shown.isfinite().all()
    if name.endswith("_test"):
        configured.check_not_random(operations, "x")
