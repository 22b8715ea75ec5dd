"""Recordings from every format are the same Dataset; damaged ones are one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray

from dynvision.errors import InputError
from dynvision.recordings import read_recording, to_netcdf
from dynvision.recordings.data import average_repetitions, repetitions
from tests.recordings.made import network, recording


@pytest.fixture
def brain() -> xarray.Dataset:
    return recording(network(), "V1", 1, n_repetitions=2, n_channels=20)


def test_netcdf_npz_and_csv_hold_the_same(brain: xarray.Dataset, tmp_path: Path) -> None:
    to_netcdf(brain, tmp_path / "a.nc")
    arrays = {name: brain[name].values for name in ("image", "repetition", "area", "electrode", "time_ms")}
    np.savez(tmp_path / "a.npz", response=brain["response"].values, **arrays)
    long = brain["response"].to_series().reset_index()
    table = long.merge(
        brain[["image", "repetition"]].to_dataframe().reset_index(), on="presentation", suffixes=("", "_")
    )
    labels = brain[["electrode", "area"]].to_dataframe().reset_index()
    columns = ["image", "repetition", "electrode", "area", "time_ms", "response"]
    if "electrode" not in table:
        table = table.merge(labels, on="unit")
    table[columns].to_csv(tmp_path / "a.csv", index=False)
    nc, npz, csv = (read_recording(tmp_path / f"a.{suffix}") for suffix in ("nc", "npz", "csv"))
    assert np.array_equal(nc["response"].values, brain["response"].values)
    assert np.array_equal(npz["response"].values, brain["response"].values)
    # The table is sorted by its labels: compare by label.
    for image, electrode in (("3", "11"), ("10", "0")):
        shown = (csv["image"].values.astype(str) == image) & (csv["repetition"].values == 1)
        unit = csv["electrode"].values.astype(str) == electrode
        expected = brain["response"].values[
            (brain["image"].values.astype(str) == image) & (brain["repetition"].values == 1)
        ]
        expected = expected[:, brain["electrode"].values == electrode]
        assert np.allclose(csv["response"].values[shown][:, unit], expected, atol=1e-6)


def test_repetitions_are_averaged_and_separated(brain: xarray.Dataset) -> None:
    mean = average_repetitions(brain)
    again = repetitions(brain)
    assert mean.sizes["presentation"] == 12 and again.shape[:2] == (2, 12)
    assert np.allclose(again.mean(axis=0), mean["response"].values, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.nc", b"<html>not found</html>", "cannot be read"),
        ("a.npz", b"PK broken", "cannot be read as NPZ"),
        ("a.csv", b"image,time_ms\n1,2\n", "no column 'response'"),
        ("a.csv", b"image,time_ms,response\n1,2,\n", "without a time or a response"),
        ("a.mat", b"", "not of a known format"),
    ],
)
def test_damaged_files_are_one_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_recording(tmp_path / name)


def test_a_pickle_in_an_npz_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", response=np.array([{}], dtype=object), time_ms=[1.0], image=[0])
    with pytest.raises(InputError, match="cannot be read as NPZ"):
        read_recording(tmp_path / "a.npz")
