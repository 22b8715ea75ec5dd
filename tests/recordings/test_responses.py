"""Responses as labelled arrays: read lazily, exactly, and handed to other packages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynvision.errors import InputError
from dynvision.recordings import labelled_responses, open_responses
from dynvision.recordings.responses import UnitFile
from tests.recordings.made import STEP_MS, write_units

SHAPES = {"V1": (3, 4, 4), "IT": (5, 2, 2)}


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    path = tmp_path / "units.parquet"
    return path, write_units(path, SHAPES, [0.5, 1.0], n_images=4, n_steps=6)


def test_every_value_has_its_labels(written: tuple[Path, dict[str, np.ndarray]]) -> None:
    path, activity = written
    opened = open_responses(path)
    assert dict(opened.sizes) == {"presentation": 8, "unit": 48 + 20, "time_ms": 6}
    assert opened.attrs == {"run_id": "run", "experiment": "contrast", "parameter": "contrast"}
    loaded = opened.load()
    for layer, expected in activity.items():
        part = loaded.isel(unit=np.flatnonzero(loaded["layer"].values == layer))
        for p, (condition, image) in enumerate(
            zip(loaded["condition"].values, loaded["image"].values, strict=True)
        ):
            v = [0.5, 1.0].index(condition)
            places = part["channel"].values, part["row"].values, part["column"].values
            steps = np.rint(part["time_ms"].values / STEP_MS).astype(int) - 1
            got = part["response"].values[p]
            assert np.array_equal(got, expected[v, image, steps][:, *places].T)


def test_a_slice_reads_only_its_row_groups(
    written: tuple[Path, dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, activity = written
    read: list[int] = []
    decode = UnitFile._decode
    monkeypatch.setattr(
        UnitFile, "_decode", lambda self, group, size: read.append(group) or decode(self, group, size)
    )
    opened = open_responses(path, layers=["IT"])
    assert not read
    first = opened["response"].isel(presentation=0, time_ms=2).values
    assert np.array_equal(first, activity["IT"][0, 0, 2].ravel())
    assert len(set(read)) == 1


def test_a_sample_of_units_follows_the_seed_and_the_layer_alone(
    written: tuple[Path, dict[str, np.ndarray]],
) -> None:
    path, _ = written
    both = open_responses(path, n_units=7, seed=1)
    alone = open_responses(path, layers=["IT"], n_units=7, seed=1)
    part = both.isel(unit=np.flatnonzero(both["layer"].values == "IT"))
    assert both.sizes["unit"] == 14
    assert np.array_equal(part["response"].values, alone["response"].values)
    other = open_responses(path, layers=["IT"], n_units=7, seed=2)
    assert not np.array_equal(
        other["channel"].values * 4 + other["row"].values, alone["channel"].values * 4 + alone["row"].values
    )


def test_what_is_missing_or_damaged_is_one_sentence(
    written: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    path, _ = written
    with pytest.raises(InputError, match="save_responses: unit"):
        open_responses("run", "contrast", results=tmp_path)
    with pytest.raises(InputError, match="unknown layer 'V5'"):
        open_responses(path, layers=["V5"])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="is not a file of units"):
        open_responses(path)


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="'image' has 3 values for 2"):
        labelled_responses(np.zeros((2, 1, 4)), np.arange(4), {"image": [0, 1, 2]}, {})
    with pytest.raises(InputError, match="ascend"):
        labelled_responses(np.zeros((2, 1, 3)), [0, 2, 2], {"image": [0, 1]}, {})
