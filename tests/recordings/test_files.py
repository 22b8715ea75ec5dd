"""Recordings from every format are the same Dataset; damaged ones are one sentence."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray

from dynvision.errors import InputError
from dynvision.recordings import read_recording, to_netcdf
from dynvision.recordings.data import average_repetitions, bin_times, repetitions
from tests.recordings.made import network, recording


@pytest.fixture
def brain() -> xarray.Dataset:
    return recording(network(), "V1", 1, n_repetitions=2, n_channels=20)


def long_form(brain: xarray.Dataset) -> pd.DataFrame:
    """A row for each value, with its labels."""
    table = brain["response"].to_series().reset_index()
    for dimension, names in (("presentation", ("image", "repetition")), ("unit", ("electrode", "area"))):
        for name in names:
            table[name] = brain[name].values[table[dimension]]
    return table[["image", "repetition", "electrode", "area", "time_ms", "response"]]


def test_netcdf_npz_and_csv_hold_the_same(brain: xarray.Dataset, tmp_path: Path) -> None:
    to_netcdf(brain, tmp_path / "a.nc")
    arrays = {name: brain[name].values for name in ("image", "repetition", "area", "electrode", "time_ms")}
    np.savez(tmp_path / "a.npz", response=brain["response"].values, **arrays)
    long_form(brain).to_csv(tmp_path / "a.csv", index=False)
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
        ("a.csv", b"image,time_ms\n1,2\n", "lacks the columns response; it has image, time_ms"),
        ("a.csv", b"image,time_ms,response\n1,2,\n", "response is empty in row 2"),
        ("a.csv", b"image,time_ms,response,area\n1,2,3,V1\n1,4,3,\n", "area is empty in row 3"),
        ("a.csv", b"image,time_ms,response,repetition\n1,2,3,\n", "repetition is empty in row 2"),
        ("a.csv", b"image,time_ms,response\n1,2,n/d\n", "response=n/d is no number in row 2"),
        ("a.csv", b"image,time_ms,response\n", "has no rows below its heading"),
        ("a.csv", b"image,time_ms,response\n1,2,0,5\n", "a comma in a cell needs quotes"),
        ("a.csv", "image,time_ms,response\né,2,1\n".encode("latin-1"), "not in UTF-8"),
        ("a.csv", b"image,time_ms,response\n1,2,3\n1,2,4\n", "number repetitions in a column repetition"),
        ("a.csv", b"image,time_ms,response,area\n1,2,3,a\n1,4,3,b\n", "not every image, electrode and time"),
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
        ({"note": np.ones((2, 2))}, "coordinate 'note' has the shape (2, 2) for 1 along presentation"),
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


def same(found: xarray.Dataset, brain: xarray.Dataset) -> bool:
    """Whether a recording, however it is ordered, has the values of another."""
    keys = [
        np.lexsort((one["repetition"].values.astype(float), one["image"].values.astype(str)))
        for one in (found, brain)
    ]
    a, b = (one["response"].values[key] for one, key in zip((found, brain), keys, strict=True))
    if "electrode" in found.coords:
        a, b = (
            values[:, np.argsort(one["electrode"].values.astype(str))]
            for values, one in ((a, found), (b, brain))
        )
    return np.array_equal(found["time_ms"].values, brain["time_ms"].values) and np.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    "written",
    [
        {"sep": ";"},
        {"sep": ";", "decimal": ","},
        {"sep": "\t", "decimal": ","},
        {"encoding": "utf-8-sig"},
        {"float_format": "%.6f"},
    ],
)
def test_a_table_is_read_however_the_laboratory_writes_it(
    brain: xarray.Dataset, tmp_path: Path, written: dict[str, str]
) -> None:
    table = long_form(brain).sample(frac=1, random_state=1).rename(columns=lambda name: f" {name.upper()}")
    table[" IMAGE"] = table[" IMAGE"].astype(float)  # as of a column with gaps that were filled
    table.to_csv(tmp_path / "a.CSV", index=False, **written)  # type: ignore[call-overload]
    found = read_recording(tmp_path / "a.CSV")
    assert same(found, brain)
    assert set(found["image"].values) == {str(image) for image in range(12)}


@pytest.mark.parametrize("suffix", ["nc", "npz"])
def test_times_are_sorted_and_images_named_as_the_network_names_them(
    brain: xarray.Dataset, tmp_path: Path, suffix: str
) -> None:
    random = np.random.default_rng(1)
    mixed = brain.isel(time_ms=random.permutation(brain.sizes["time_ms"]))
    mixed = mixed.assign_coords(image=mixed["image"].astype(float))
    if suffix == "nc":
        mixed.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    else:
        labels = {name: mixed[name].values for name in ("image", "repetition", "time_ms", "electrode")}
        own = {"hemisphere": np.full(20, "left"), "rate_hz": 250.0}  # of units, and of all
        np.savez(tmp_path / "a.npz", response=mixed["response"].values, **labels, **own)
    found = read_recording(tmp_path / f"a.{suffix}")
    assert same(found, brain)
    assert set(found["image"].values) == {str(image) for image in range(12)}
    means = [bin_times(one, 8.0)["response"].values for one in (found, brain)]
    assert np.array_equal(*means)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda b: b.assign_coords(time_ms=b["time_ms"] / 1000), "multiply seconds by 1000"),
        (lambda b: b.assign_coords(time_ms=b["time_ms"].assign_attrs(units="s")), "time_ms is in s"),
        (lambda b: b.isel(time_ms=[0, 1, 1]), "one twice"),
        (lambda b: b.assign_coords(time_ms=[np.nan, *range(1, 20)]), "not a number"),
        (lambda b: b.assign_coords(time_ms=pd.to_timedelta(b["time_ms"].values, "ms")), "real numbers, not timedelta64"),
        (lambda b: b.drop_vars("time_ms"), "needs the coordinate time_ms"),
        (lambda b: b.drop_vars("image"), "needs the coordinate image"),
        (lambda b: b.assign_coords(image=("unit", np.arange(20))), "image must have one value for each presentation"),
        (lambda b: b.assign_coords(image=b["image"].where(b["image"] != 3)), "image is empty at presentation 3, 15"),
        (lambda b: b.assign_coords(area=("unit", ["V1"] * 18 + [""] * 2)), "area is empty at unit 18, 19"),
        (lambda b: b.rename(response="hga"), "it has hga"),
        (lambda b: b.expand_dims(session=2), "its dimensions are session, presentation, unit, time_ms"),
        (lambda b: b.assign(response=b["response"].astype(str)), "response must hold real numbers"),
    ],
)  # fmt: skip
def test_labels_that_are_missing_or_wrong_are_one_sentence(
    brain: xarray.Dataset, tmp_path: Path, change: Callable[[xarray.Dataset], xarray.Dataset], sentence: str
) -> None:
    change(brain).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(InputError, match=sentence) as error:
        read_recording(tmp_path / "a.nc")
    assert "a.nc" in str(error.value)
