"""Recordings from every format are the same Dataset; damaged ones are one sentence."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
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
        ("a.npz", b"", "cannot be read as NPZ; it is an empty file"),
        ("a.npz", b"PK broken", "cannot be read as NPZ; it is a text that begins with 'PK broken'"),
        ("a.npz", b"\x93NUMPY\x01", "cannot be read as NPZ; it is a NumPy array"),
        ("a.npz", b"PK\x03\x04" + bytes(400), "cannot be read as NPZ, since its end is missing"),
        ("a.csv", b"image,time_ms\n1,2\n", "no column 'response'"),
        ("a.csv", b"image,time_ms,response\n", "has no rows"),
        ("a.csv", b"image,time_ms,response\n1,2,\n", "without a time or a response"),
        ("a.csv", b"image,time_ms,response\n1,2,none\n1,3,loud\n", "response must hold real numbers, not "),
        ("a.mat", b"", "not of a known format"),
    ],
)
def test_damaged_files_are_one_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_recording(tmp_path / name)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"response": np.array([{}], dtype=object)}, "since response.npy holds no array of numbers or text"),
        ({"response": np.full((1, 1, 2), "a")}, "response must hold real numbers, not <U1"),
        ({"response": np.ones((1, 1, 2), complex)}, "response must hold real numbers, not complex128"),
        ({"time_ms": np.array(["a", "b"])}, "time_ms must hold real numbers, not <U1"),
        ({"time_ms": np.array([0.0, np.nan])}, "they must be as many, finite, and ascend"),
        ({"time_ms": np.array([[0.0, 1.0]])}, "they must be as many, finite, and ascend"),
        ({"note": np.array("a word")}, "coordinate 'note' has the shape () for 1 along presentation"),
    ],
    ids=str,
)
def test_arrays_that_are_no_recording_are_one_sentence(
    tmp_path: Path, changed: dict[str, np.ndarray], sentence: str
) -> None:
    whole = {"response": np.zeros((1, 1, 2)), "time_ms": np.array([0.0, 1.0]), "image": np.array([0])}
    np.savez(tmp_path / "a.npz", **{**whole, **changed})
    with pytest.raises(InputError, match=re.escape(sentence)) as error:
        read_recording(tmp_path / "a.npz")
    assert str(error.value).startswith(f"{tmp_path / 'a.npz'}")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_npz_is_one_sentence_wherever_the_damage_is(
    tmp_path: Path, save: Callable[..., None]
) -> None:
    path = tmp_path / "a.npz"
    save(path, response=np.ones((2, 3, 4)), time_ms=np.arange(4.0), image=np.arange(2))
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(whole)
        for place in random.integers(len(whole), size=random.integers(1, 8)):
            broken[place] = random.integers(256)
        path.write_bytes(bytes(broken[: random.integers(len(whole))] if random.random() < 0.2 else broken))
        with contextlib.suppress(InputError):  # damage of a time stamp is none
            read_recording(path)
