"""The presets that are named after a data set, with its size and published statistics, for use without the workflow."""

from __future__ import annotations

from dynvision.config.data import DATASETS, DataConfig
from dynvision.config.transforms import PRESETS as TRANSFORMS
from dynvision.config.transforms import resolve_transform
from dynvision.data.transform import Transform
from dynvision.errors import unknown_name

PRESETS: tuple[str, ...] = tuple(
    name for name in TRANSFORMS if name.rpartition("_")[0] in DATASETS and name.endswith(("_train", "_test"))
)


def find_preset(name: str) -> tuple[DataConfig, Transform]:
    """A preset by name, e.g. ``cifar10_train``: the images that it wants, and what it does to them.

    Raises:
        InputError: the name is not known.
    """
    if name not in PRESETS:
        raise unknown_name("data transform", name, PRESETS, key="data_transform")
    config = DataConfig(name=name.rpartition("_")[0])
    facts = DATASETS[config.name]
    operations = resolve_transform(name, "data_transform")
    return config, Transform(operations, config.resolution, facts.mean, facts.sd)
