"""Every export is read back by the package that it is for."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from dynvision.errors import InputError
from dynvision.recordings import (
    open_responses,
    read_recording,
    to_evoked,
    to_netcdf,
    to_nwb,
    to_rdms,
    to_temporal_dataset,
    to_zarr,
)
from tests.recordings.made import network, recording, write_units

rsatoolbox = pytest.importorskip("rsatoolbox")


@pytest.fixture(scope="module")
def model() -> xarray.Dataset:
    return network().assign_attrs(run_id="run", experiment="contrast")


def test_netcdf_is_read_back_by_hdf5_and_xarray(model: xarray.Dataset, tmp_path: Path) -> None:
    to_netcdf(model, tmp_path / "model.nc")
    with xarray.open_dataset(tmp_path / "model.nc", engine="h5netcdf") as back:
        xarray.testing.assert_identical(back.load(), model)
    with h5py.File(tmp_path / "model.nc") as file:
        assert np.array_equal(file["response"][...], model["response"].values)
        assert file["time_ms"].attrs["units"] == b"ms" or file["time_ms"].attrs["units"] == "ms"


def test_zarr_is_read_back_by_zarr_and_written_piece_by_piece(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    activity = write_units(tmp_path / "units.parquet", {"V1": (3, 4, 4)}, [0.5, 1.0], n_images=4, n_steps=6)
    opened = open_responses(tmp_path / "units.parquet")
    to_zarr(opened, tmp_path / "model.zarr")
    group = zarr.open_group(tmp_path / "model.zarr", mode="r")
    assert group["response"].chunks == (1, 48, 6)
    expected = activity["V1"].reshape(8, 6, 48).transpose(0, 2, 1)
    assert np.array_equal(group["response"][...], expected)
    back = read_recording(tmp_path / "model.zarr").load()
    assert back["condition"].values.tolist() == [0.5] * 4 + [1.0] * 4 and set(back["layer"].values) == {"V1"}
    to_zarr(opened.isel(presentation=[0]), tmp_path / "model.zarr")
    assert read_recording(tmp_path / "model.zarr").sizes["presentation"] == 1
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "notes.txt").write_text("mine")
    for path in (tmp_path / "others", tmp_path / "others" / "notes.txt"):
        with pytest.raises(InputError, match="holds no Zarr; choose another name"):
            to_zarr(opened, path)
    assert (tmp_path / "others" / "notes.txt").read_text() == "mine"


def test_names_of_images_of_any_length_are_kept_in_zarr(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    brain = recording(network(), "V1", 0, n_repetitions=1)
    names = ["a" * (1 + number) for number in range(12)]
    to_zarr(brain.assign_coords(image=("presentation", names)), tmp_path / "a.zarr")
    assert read_recording(tmp_path / "a.zarr")["image"].values.tolist() == names


def test_a_temporal_dataset_is_saved_and_loaded_by_rsatoolbox(model: xarray.Dataset, tmp_path: Path) -> None:
    to_temporal_dataset(model).save(tmp_path / "model.h5", file_type="hdf5", overwrite=True)
    back = rsatoolbox.data.load_dataset(str(tmp_path / "model.h5"), file_type="hdf5")
    assert np.array_equal(back.measurements, model["response"].values.astype(float))
    assert list(back.obs_descriptors["image"]) == list(model["image"].values)
    assert [str(layer) for layer in back.channel_descriptors["layer"]] == list(model["layer"].values)
    assert np.allclose(back.time_descriptors["time"], model["time_ms"].values / 1000)


@pytest.mark.parametrize("distance", ["correlation", "euclidean"])
def test_rdms_are_those_that_rsatoolbox_makes_itself(
    model: xarray.Dataset, distance: str, tmp_path: Path
) -> None:
    own = to_rdms(model, distance)
    own.save(str(tmp_path / "rdms.h5"), file_type="hdf5", overwrite=True)
    back = rsatoolbox.rdm.load_rdm(str(tmp_path / "rdms.h5"), file_type="hdf5")
    theirs = rsatoolbox.rdm.calc_rdm_movie(
        to_temporal_dataset(model), method=distance, descriptor="image", time_descriptor="time"
    )
    assert np.allclose(back.dissimilarities, theirs.dissimilarities, atol=1e-6)
    assert np.allclose(back.rdm_descriptors["time"], theirs.rdm_descriptors["time"])
    assert list(back.pattern_descriptors["image"]) == list(model["image"].values)
    with pytest.raises(InputError, match="needs folds"):
        to_rdms(model, "crossnobis")


def test_evoked_is_saved_and_read_by_mne(model: xarray.Dataset, tmp_path: Path) -> None:
    mne = pytest.importorskip("mne")
    to_evoked(model).save(tmp_path / "model-ave.fif", verbose="error")
    (back,) = mne.read_evokeds(tmp_path / "model-ave.fif", verbose="error")
    assert back.ch_names == ["IT", "V1"] and np.allclose(back.times * 1000, model["time_ms"].values)
    v1 = model["response"].values[:, model["layer"].values == "V1"].mean(axis=(0, 1))
    assert np.allclose(back.data[1], v1, atol=1e-6)
    with pytest.raises(InputError, match="evenly spaced"):
        to_evoked(model.isel(time_ms=[0, 1, 5]))
    with pytest.raises(InputError, match="at least two times"):
        to_evoked(model.isel(time_ms=[0]))


def test_nwb_is_read_back_by_pynwb(model: xarray.Dataset, tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    to_nwb(model, tmp_path / "model.nwb")
    with pynwb.NWBHDF5IO(str(tmp_path / "model.nwb"), "r") as io:
        file = io.read()
        series = file.acquisition["response"]
        trials = file.trials.to_dataframe()
        assert trials["image"].tolist() == model["image"].values.tolist()
        for number in (0, 7):
            inside = (series.timestamps[:] > trials["start_time"].iloc[number]) & (
                series.timestamps[:] <= trials["stop_time"].iloc[number] + 1e-9
            )
            assert np.array_equal(series.data[:][inside].T, model["response"].values[number])
            since = 1000 * (series.timestamps[:][inside] - trials["onset_time"].iloc[number])
            assert np.allclose(since, model["time_ms"].values)
        units = file.processing["network"]["units_of_response"].to_dataframe()
        assert units["layer"].tolist() == model["layer"].values.tolist()
    assert not pynwb.validate(path=str(tmp_path / "model.nwb"))
