"""Responses and recordings in the form that other packages read.

| function               | gives                                                    | read by              |
|------------------------|----------------------------------------------------------|----------------------|
| `to_netcdf`            | ``*.nc``, NetCDF 4                                       | xarray, netCDF4, R   |
| `to_zarr`              | ``*.zarr``, in pieces of a presentation                  | xarray, zarr         |
| `to_temporal_dataset`  | ``rsatoolbox.data.TemporalDataset``                      | rsatoolbox           |
| `to_rdms`              | ``rsatoolbox.rdm.RDMs``, one for each time               | rsatoolbox           |
| `to_evoked`            | ``mne.EvokedArray``, one channel for each layer or area  | MNE, mne-rsa         |
| `to_nwb`               | ``*.nwb``, a series and its trials                       | pynwb, MatNWB        |

Each package is imported when it is needed, and a call without it raises InputError. The extra ``recordings`` brings all but
pynwb, which is in the extra ``nwb``.
"""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dynvision.errors import InputError, check_extra, unknown_name
from dynvision.files import atomic_path, temporary_path
from dynvision.recordings.responses import DIMENSIONS
from dynvision.recordings.similarity import CROSSED, rdm_film

if TYPE_CHECKING:
    import xarray


def to_netcdf(dataset: xarray.Dataset, path: str | Path) -> None:
    """Write responses as NetCDF 4, whole or not at all.

    Args:
        dataset: responses.
        path: the file, ``*.nc``.
    """
    check_extra("recordings", "NetCDF 4", "h5netcdf")
    with atomic_path(path) as temporary:
        dataset.load().to_netcdf(temporary, engine="h5netcdf")


def to_temporal_dataset(dataset: xarray.Dataset) -> Any:
    """Return the responses as an rsatoolbox ``TemporalDataset``, (presentation, unit, time); it needs rsatoolbox."""
    check_extra("recordings", "a TemporalDataset", "rsatoolbox")
    from rsatoolbox.data import TemporalDataset

    return TemporalDataset(
        dataset["response"].values.astype(float),
        descriptors={name: str(value) for name, value in dataset.attrs.items()},
        obs_descriptors=_descriptors(dataset, "presentation"),
        channel_descriptors=_descriptors(dataset, "unit"),
        time_descriptors={"time": dataset["time_ms"].values / 1000.0},
    )


def to_evoked(dataset: xarray.Dataset, by: str = "layer") -> Any:
    """Return the mean over presentations as an MNE ``EvokedArray``, one channel for each value of a unit's label.

    Args:
        dataset: responses on an even grid of times.
        by: coordinate of the units to average over, e.g. ``layer`` or ``area``.

    Raises:
        InputError: times that are not evenly spaced, or no such coordinate.
    """
    check_extra("recordings", "an EvokedArray", "mne")
    import mne

    if by not in dataset.coords:
        raise unknown_name("coordinate", by, [str(name) for name in dataset.coords], key="by")
    steps = np.diff(dataset["time_ms"].values)
    if not len(steps) or np.ptp(steps) > 1e-6:
        raise InputError(
            "MNE needs at least two times, evenly spaced; select a part of the record that has one time step"
        )
    means = dataset["response"].mean("presentation").groupby(by).mean("unit")
    info = mne.create_info([str(name) for name in means[by].values], 1000.0 / float(steps[0]), "misc")
    values = means.transpose(by, "time_ms").values
    return mne.EvokedArray(
        values, info, tmin=float(dataset["time_ms"][0]) / 1000.0, nave=dataset.sizes["presentation"]
    )


def to_zarr(dataset: xarray.Dataset, path: str | Path) -> None:
    """Write responses as Zarr, a piece for each presentation, whole or not at all.

    A Dataset that is read from disk is written piece by piece, so that it may be larger than memory.

    Args:
        dataset: responses.
        path: the folder, ``*.zarr``; one that is there is replaced.

    Raises:
        InputError: something else is there.
    """
    check_extra("recordings", "Zarr", "zarr")
    path = Path(path)
    if path.exists() and not any((path / name).is_file() for name in ("zarr.json", ".zgroup")):
        raise InputError(f"{path} is there and holds no Zarr; choose another name")
    partial = temporary_path(path)
    # As objects, text has any length; of a fixed length Zarr has no stable format.
    text = {name: dataset[name].astype(object) for name in dataset.coords if dataset[name].dtype.kind == "U"}
    ordered = dataset.transpose(*DIMENSIONS).assign_coords(text)
    pieces = {"response": {"chunks": [1, dataset.sizes["unit"], dataset.sizes["time_ms"]]}}
    try:
        for number in range(dataset.sizes["presentation"]):
            one = ordered.isel(presentation=[number]).load()
            how = {"append_dim": "presentation"} if number else {"mode": "w", "encoding": pieces}
            one.to_zarr(partial, zarr_format=3, consolidated=False, **how)
        shutil.rmtree(path, ignore_errors=True)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def to_rdms(dataset: xarray.Dataset, distance: str = "correlation") -> Any:
    """Return dissimilarities of the presentations at every time as rsatoolbox ``RDMs``, with ``time`` in seconds.

    Args:
        dataset: responses, of one presentation an image.
        distance: a name of :data:`dynvision.config.comparison.DISTANCES`, of those without folds.
    """
    check_extra("recordings", "RDMs", "rsatoolbox")
    from rsatoolbox.rdm import RDMs

    if distance == CROSSED:
        raise InputError(f"distance={distance} needs folds, which a single presentation has not")
    film = rdm_film(dataset["response"].transpose(*DIMENSIONS).values, distance)
    return RDMs(
        film,
        dissimilarity_measure=distance,
        descriptors={name: str(value) for name, value in dataset.attrs.items()},
        rdm_descriptors={"time": list(dataset["time_ms"].values / 1000.0)},
        pattern_descriptors=_descriptors(dataset, "presentation"),
    )


def to_nwb(dataset: xarray.Dataset, path: str | Path) -> None:
    """Write responses as NWB, presentations one after the other, whole or not at all; it needs pynwb.

    The file has a series ``response`` (time, unit), the trials with their labels and ``onset_time``, and a table
    ``units_of_response`` with the labels of the units. Trials are a second apart.

    Args:
        dataset: responses.
        path: the file, ``*.nwb``.
    """
    check_extra("nwb", "NWB", "pynwb")
    from hdmf.common import DynamicTable, VectorData
    from pynwb import NWBHDF5IO, NWBFile, TimeSeries

    times = dataset["time_ms"].values / 1000.0
    apart = times[-1] - times[0] + 1.0
    onsets = np.arange(dataset.sizes["presentation"]) * apart - min(times[0], 0.0)
    values = dataset["response"].transpose("presentation", "time_ms", "unit").values
    file = NWBFile(
        session_description="responses in time",
        identifier="-".join(map(str, dataset.attrs.values())) or Path(path).stem,
        session_start_time=datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
    )
    stamps = (onsets[:, None] + times[None, :]).ravel()
    flat = values.reshape(-1, values.shape[2])
    file.add_acquisition(TimeSeries(name="response", data=flat, unit="a.u.", timestamps=stamps))
    shown = _descriptors(dataset, "presentation")
    file.add_trial_column("onset_time", "onset of the stimulus, in seconds")
    for name in shown:
        file.add_trial_column(name, f"{name} of the presentation")
    for number, onset in enumerate(onsets):
        labels = {name: _plain(of[number]) for name, of in shown.items()}
        file.add_trial(
            start_time=onset + min(times[0], 0.0), stop_time=onset + times[-1], onset_time=onset, **labels
        )
    columns = [
        VectorData(name=name, description=f"{name} of the unit", data=[_plain(value) for value in of])
        for name, of in _descriptors(dataset, "unit").items()
    ]
    table = DynamicTable(
        name="units_of_response", description="labels of the columns of the series", columns=columns
    )
    file.create_processing_module("network", "what is known of the units").add(table)
    with atomic_path(path) as temporary, NWBHDF5IO(str(temporary), "w") as io:
        io.write(file)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _descriptors(dataset: xarray.Dataset, dimension: str) -> dict[str, list[Any]]:
    names = [name for name, values in dataset.coords.items() if values.dims == (dimension,)]
    return {str(name): list(dataset[name].values) for name in names}
