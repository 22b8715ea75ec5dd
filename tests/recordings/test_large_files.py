"""A file of units is written and read in pieces of bounded size, whatever the size of a batch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dynvision.experiments import tables
from dynvision.recordings import open_responses

SHAPES = {"V1": (4, 5, 5), "IT": (6, 2, 2)}
FIXED = {"run_id": "run", "experiment": "contrast", "parameter": "contrast"}
TIMES = 2.0 * np.arange(1, 7)


def write(path: Path, batches: list[int]) -> dict[str, np.ndarray]:
    """Batches of so many images; returns the activity by layer, (images, T, C, H, W)."""
    random = np.random.default_rng(0)
    units = tables.UnitWriter(path, SHAPES, FIXED)
    first, parts = 0, []
    for n in batches:
        kept = {
            layer: random.normal(size=(n, len(TIMES), *shape)).astype(np.float32)
            for layer, shape in SHAPES.items()
        }
        batch = SimpleNamespace(
            indices=np.arange(first, first + n), labels=torch.arange(first, first + n) % 3
        )
        units.append(1.0, SimpleNamespace(units=kept), batch, TIMES)
        parts.append(kept)
        first += n
    units.close()
    return {layer: np.concatenate([part[layer] for part in parts]) for layer in SHAPES}


@pytest.mark.parametrize("values", [1, 1300, 2**22])
def test_row_groups_are_bounded_and_hold_every_value(
    values: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", values)
    activity = write(tmp_path / "units.parquet", [5, 3])
    file = pq.ParquetFile(tmp_path / "units.parquet")
    sizes = [file.metadata.row_group(n).num_rows // len(TIMES) for n in range(file.num_row_groups)]
    assert (max(sizes), len(sizes)) == {1: (1, 16), 1300: (5, 7), 2**22: (5, 4)}[values]
    opened = open_responses(tmp_path / "units.parquet", n_units=9, seed=2).load()
    for layer, expected in activity.items():
        part = opened.isel(unit=np.flatnonzero(opened["layer"].values == layer))
        places = (part["channel"].values, part["row"].values, part["column"].values)
        assert np.array_equal(part["response"].values, expected[:, :, *places].transpose(0, 2, 1))
    assert opened["label"].values.tolist() == [n % 3 for n in range(8)]
