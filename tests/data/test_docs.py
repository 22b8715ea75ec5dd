"""The page on data names everything that there is."""

from __future__ import annotations

from pathlib import Path

from dynvision.config.data import DATASETS, DataConfig
from dynvision.config.training import ExecutionConfig
from dynvision.config.transforms import GROUPS, OPERATIONS, PRESETS, resolve_transform
from dynvision.data.datamodule import MEMORY_BYTES

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def test_every_name_is_on_the_page() -> None:
    names = [*DATASETS, *OPERATIONS, *(name for name in PRESETS if not name.endswith("_test"))]
    names += [name for groups in GROUPS.values() for name, classes in groups.items() if len(classes) > 1]
    names += [*DataConfig.model_fields["order"].annotation.__args__]  # type: ignore[union-attr]
    names += [*ExecutionConfig.model_fields["loader"].annotation.__args__]  # type: ignore[union-attr]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    assert f"{MEMORY_BYTES // 2**20} MiB" in PAGE


def test_defaults_of_operations_are_on_the_page() -> None:
    for name, args in OPERATIONS.items():
        if args.main is not None and args.main != "area":
            (settings,) = resolve_transform([name], "")
            assert f"`{args.main}` {settings[name][args.main]:g}" in PAGE
