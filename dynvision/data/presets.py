"""Named ways from an image to a network's input: size, augmentation, normalisation. Random choices come from torch.

    {data}_train    with random crops and, where mirror images keep their class, flips
    {data}_test     the central square

Sources: means and standard deviations are of all training pixels; digits: measured over its 1,797 images at 32 px;
CIFAR-10 with 4 px of padding: He et al. (2016), Deep Residual Learning for Image Recognition, sec. 4.2;
ImageNet with random area and aspect: Szegedy et al. (2015), Going Deeper with Convolutions, sec. 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from dynvision.data.images import crop_centre, resize_shorter_side
from dynvision.data.normalization import normalize
from dynvision.errors import unknown_name


@dataclass(frozen=True)
class Preset:
    """One way from an image to a network's input.

    Attributes:
        resolution: height and width of the result in px.
        mean: per channel, pixels in 0..1.
        sd: per channel, pixels in 0..1.
        shorter_side: size in px to which the shorter side is brought first; 0 for ``resolution``.
        shift: the crop is moved by up to so many px in each direction over a black border; 0 does not.
        area: range of the part of the image that a random crop covers, 0..1; None does not crop so.
        flip: mirror left and right in half of the cases.
    """

    resolution: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    shorter_side: int = 0
    shift: int = 0
    area: tuple[float, float] | None = None
    flip: bool = False

    @property
    def n_channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return len(self.mean)

    def __call__(self, image: Image.Image) -> Tensor:
        """Normalised image, float32 (C, H, W), from a grey or RGB one with ``n_channels``."""
        image = self._square(image)
        if self.flip and _uniform(0, 1) < 0.5:
            image = ImageOps.mirror(image)
        pixels = torch.from_numpy(np.array(image).reshape(1, self.resolution, self.resolution, -1))
        return normalize(pixels, self.mean, self.sd)[0]

    def _square(self, image: Image.Image) -> Image.Image:
        if self.area is not None:
            box = random_box(image.width, image.height, self.area)
            return image.resize((self.resolution, self.resolution), Image.Resampling.BICUBIC, box=box)
        image = crop_centre(resize_shorter_side(image, self.shorter_side or self.resolution), self.resolution)
        if self.shift:
            left, top = _integer(2 * self.shift + 1), _integer(2 * self.shift + 1)
            bordered = ImageOps.expand(image, border=self.shift)
            image = bordered.crop((left, top, left + self.resolution, top + self.resolution))
        return image


def random_box(width: int, height: int, area: tuple[float, float]) -> tuple[int, int, int, int]:
    """A rectangle of random area and aspect (3:4 to 4:3, log-uniform) within an image; the centre if none is found.

    Args:
        width: of the image in px.
        height: of the image in px.
        area: range of the part of the image to cover, 0..1.

    Returns:
        Left, top, right and bottom in px.
    """
    for _ in range(10):
        covered = _uniform(*area) * width * height
        aspect = math.exp(_uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(covered * aspect)), round(math.sqrt(covered / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = _integer(width - w + 1), _integer(height - h + 1)
            return left, top, left + w, top + h
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def _integer(below: int) -> int:
    return int(torch.randint(below, ()))


_DIGITS = Preset(32, (0.3052,), (0.3236,))
_CIFAR10 = Preset(32, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
_IMAGENET = Preset(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

PRESETS: dict[str, Preset] = {
    "digits_train": replace(_DIGITS, shift=2),
    "digits_test": _DIGITS,
    "cifar10_train": replace(_CIFAR10, shift=4, flip=True),
    "cifar10_test": _CIFAR10,
    "imagenet_train": replace(_IMAGENET, area=(0.08, 1.0), flip=True),
    "imagenet_test": replace(_IMAGENET, shorter_side=256),
}


def find_preset(name: str) -> Preset:
    """A preset by name.

    Raises:
        InputError: the name is not known.
    """
    if name not in PRESETS:
        raise unknown_name("data transform", name, PRESETS, key="data_transform")
    return PRESETS[name]
