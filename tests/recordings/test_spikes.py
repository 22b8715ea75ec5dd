"""Rates of known spikes in an NWB file that pynwb has written."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest

from dynvision.errors import InputError
from dynvision.recordings import read_nwb, read_recording

pynwb = pytest.importorskip("pynwb")
ONSETS = (1.0, 3.0, 5.0)


def write(path: Path, spikes: list[list[float]], image: str = "image", trials: bool = True) -> Path:
    file = pynwb.NWBFile(
        session_description="made",
        identifier="made",
        session_start_time=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    )
    file.add_unit_column("area", "area of cortex")
    for number, times in enumerate(spikes):
        file.add_unit(spike_times=times, area=("V4", "IT")[number % 2])
    if trials:
        file.add_trial_column(image, "what was shown")
        for onset, name in zip(ONSETS, ("cat", "dog", "cat"), strict=True):
            file.add_trial(start_time=onset, stop_time=onset + 0.5, **{image: name})
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def test_spikes_are_rates_in_bins_that_end_at_their_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nwb", [[1.005, 1.0075, 1.0101, 3.1, 7.0], [0.9505, 5.4999]])
    data = read_nwb(path)
    assert read_recording(path).equals(data)
    assert data["time_ms"].values[[0, 9, -1]].tolist() == [-90.0, 0.0, 500.0]
    assert data["image"].values.tolist() == ["cat", "dog", "cat"] and data["area"].values.tolist() == [
        "V4",
        "IT",
    ]
    expected = np.zeros((3, 2, 60))
    at = {time: place for place, time in enumerate(data["time_ms"].values.tolist())}
    expected[0, 0, at[10.0]], expected[0, 0, at[20.0]] = 200, 100
    expected[1, 0, at[100.0]] = 100  # on the edge: the end of its bin
    expected[0, 1, at[-40.0]], expected[2, 1, at[500.0]] = 100, 100
    assert np.array_equal(data["response"].values, expected)


def test_window_bin_and_column_are_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nwb", [[1.005]], image="picture")
    data = read_nwb(path, "picture", (0, 100), 50)
    assert data["response"].values[0, 0].tolist() == [20, 0] and data["time_ms"].values.tolist() == [50, 100]
    with pytest.raises(InputError, match="unknown column 'image'"):
        read_nwb(path)
    with pytest.raises(InputError, match="is not a number of bins of bin_ms=30"):
        read_nwb(path, "picture", (0, 100), 30)


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs units with spike_times, and trials"):
        read_nwb(write(tmp_path / "a.nwb", [[1.0]], trials=False))
    (tmp_path / "b.nwb").write_bytes(b"<html>")
    with pytest.raises(InputError, match="cannot be read as NWB"):
        read_recording(tmp_path / "b.nwb")
