"""Recordings from files, all as the Dataset of :mod:`dynvision.recordings.responses`.

| file            | content                                                                                           |
|-----------------|---------------------------------------------------------------------------------------------------|
| ``*.nc`` ``*.zarr`` | an xarray Dataset with ``response`` (presentation, unit, time_ms), in any order of dimensions |
| ``*.npz``       | ``response``, ``time_ms``, and coordinates by name; those named in ``UNIT_LABELS`` are of units   |
| ``*.csv``       | long form: image, time_ms, response, and any of condition, repetition, area, subject, electrode   |
| ``*.nwb``       | spikes, as rates around the onsets of trials; needs the extra ``nwb``                             |
| folder          | BIDS derivatives of intracranial recordings (:mod:`dynvision.recordings.bids`)                    |

Times are in ms from stimulus onset. Arrays of objects (pickles) are refused.

**Spikes** become rates in bins of width w = ``bin_ms``, each labelled by its end. The file has ``units`` with spike times,
and ``trials`` with ``start_time`` (or ``onset_time``) and a column that names the image, all in seconds.

    r_k = n(onset + k w, onset + (k + 1) w] / w          spikes per second

Source of the format: Rübel et al. (2022), eLife 11:e78362.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dynvision.errors import InputError, unknown_name
from dynvision.files import what_it_is
from dynvision.recordings.responses import DIMENSIONS, labelled_responses

if TYPE_CHECKING:
    import xarray

UNIT_LABELS = ("area", "subject", "electrode", "neuron", "sensor", "layer", "channel", "row", "column")
PRESENTATION_LABELS = ("image", "label", "condition", "repetition")
AREA_COLUMNS = ("area", "brain_area", "location")  # of units of an NWB file
ONSET_COLUMNS = ("onset_time", "start_time")  # of its trials


def read_recording(path: str | Path) -> xarray.Dataset:
    """Read a recording; the format follows from the name.

    Raises:
        InputError: the file is missing, damaged, of another format, or lacks what a comparison needs.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no recording {path}")
    if path.suffix == ".zarr" or path.suffix in (".nc", ".h5", ".netcdf"):
        return _checked(_read_xarray(path), path)
    if path.is_dir():
        from dynvision.recordings.bids import read_bids_derivatives

        return read_bids_derivatives(path)
    if path.suffix == ".nwb":
        return read_nwb(path)
    if path.suffix == ".npz":
        return _checked(_read_npz(path), path)
    if path.suffix in (".csv", ".tsv"):
        return _checked(_read_long(path), path)
    raise InputError(
        f"{path} is not of a known format; give *.nc, *.zarr, *.npz, *.csv, *.nwb, or a folder of BIDS derivatives"
    )


def average_repetitions(dataset: xarray.Dataset) -> xarray.Dataset:
    """Return one presentation for each image and condition, the mean over repetitions."""
    keys = image_keys(dataset)
    unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    if len(unique) == len(keys):
        return dataset.isel(presentation=first)
    values = dataset["response"].transpose(*DIMENSIONS).values
    sums = np.zeros((len(unique), *values.shape[1:]))
    np.add.at(sums, inverse, values)
    means = sums / np.bincount(inverse)[:, None, None]
    kept = dataset.isel(presentation=first)
    return kept.assign(response=(DIMENSIONS, means.astype(np.float32)))


def bin_times(dataset: xarray.Dataset, bin_ms: float) -> xarray.Dataset:
    """Return means over bins of time, each labelled by its end; bins without a sample are left out.

    Args:
        dataset: responses.
        bin_ms: width of the bins ``(k bin_ms, (k + 1) bin_ms]``, in ms.

    Raises:
        InputError: bins narrower than the time between two samples.
    """
    times = dataset["time_ms"].values
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    if not bin_ms > 0 or bin_ms < step - 1e-6:
        raise InputError(
            f"bin_ms={bin_ms:g} is narrower than the {step:g} ms between two samples; widen the bins"
        )
    # A sample that ends a bin up to rounding belongs to it.
    ends = bin_ms * np.ceil(np.round(times / bin_ms, 6))
    bins, first = np.unique(ends, return_index=True)
    values = dataset["response"].transpose(*DIMENSIONS).values
    sums = np.add.reduceat(values, first, axis=2, dtype=float)
    means = (sums / np.diff([*first, len(times)])).astype(np.float32)
    kept = dataset.isel(time_ms=first).assign_coords(time_ms=bins)
    return kept.assign(response=(DIMENSIONS, means))


def repetitions(dataset: xarray.Dataset, seed: int = 0) -> np.ndarray:
    """Return repeated measurements of every image, (R, images, units, times).

    R is the smallest number of repetitions of an image; further ones are left out, drawn with the seed.
    """
    keys = image_keys(dataset)
    random = np.random.default_rng(seed)
    order = random.permutation(len(keys))
    places = {key: order[keys[order] == key] for key in np.unique(keys)}
    n = min(len(found) for found in places.values())
    values = dataset["response"].transpose(*DIMENSIONS).values
    return np.stack([values[[found[r] for found in places.values()]] for r in range(n)])


def split_halves(dataset: xarray.Dataset, seed: int = 0) -> np.ndarray:
    """Return the means of two random halves of the repetitions of every image, (2, images, units, times).

    All repetitions are used; of an odd number the first half has one less. Where an image is shown once there are no
    halves, and the means over all repetitions are returned alone, (1, images, units, times).
    """
    keys = image_keys(dataset)
    order = np.random.default_rng(seed).permutation(len(keys))
    places = [order[keys[order] == key] for key in np.unique(keys)]
    values = dataset["response"].transpose(*DIMENSIONS).values
    if min(map(len, places)) < 2:
        return np.stack([values[found].mean(axis=0) for found in places])[None]
    middle = [len(found) // 2 for found in places]
    first = [values[found[:n]].mean(axis=0) for found, n in zip(places, middle, strict=True)]
    second = [values[found[n:]].mean(axis=0) for found, n in zip(places, middle, strict=True)]
    return np.stack([first, second])


def image_keys(dataset: xarray.Dataset) -> np.ndarray:
    """Return what identifies each presentation's image: its name, and its condition where there are several."""
    names = np.asarray(dataset["image"].values).astype(str)
    if "condition" in dataset.coords and len(np.unique(dataset["condition"].values)) > 1:
        return np.char.add(np.char.add(names, " @ "), dataset["condition"].values.astype(str))
    return names


def _checked(dataset: xarray.Dataset, path: Path) -> xarray.Dataset:
    missing = [name for name in DIMENSIONS if name not in dataset.get("response", dataset).dims]
    if "response" not in dataset or missing:
        raise InputError(
            f"{path} must have a variable response with the dimensions {', '.join(DIMENSIONS)}"
            + (f"; it lacks {', '.join(missing)}" if missing else "")
        )
    if "image" not in dataset.coords or "time_ms" not in dataset.coords:
        raise InputError(f"{path} needs the coordinates image (along presentation) and time_ms")
    dataset = dataset.transpose(*DIMENSIONS, ...)
    for name in ("response", "time_ms"):
        _numbers(dataset[name], f"{path}: {name}")
    if not np.issubdtype(dataset["response"].dtype, np.floating):
        dataset = dataset.astype({"response": np.float32})
    return dataset


def _numbers(array: Any, what: str) -> Any:
    """Return what has a dtype, if that is of real numbers."""
    if array.dtype.kind not in "fiub":
        raise InputError(f"{what} must hold real numbers, not {array.dtype}")
    return array


def _labelled(path: Path, response: np.ndarray, *labels: Any) -> xarray.Dataset:
    """Return the responses of a file with their labels; an error names the file."""
    try:
        return labelled_responses(response.astype(np.float32), *labels)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _words(error: Exception) -> str:
    """Return the message of another library on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _read_xarray(path: Path) -> xarray.Dataset:
    import xarray

    try:
        if path.suffix == ".zarr":
            return xarray.open_zarr(path, consolidated=False)
        return xarray.open_dataset(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {_words(error)}") from None


def _read_npz(path: Path) -> xarray.Dataset:
    if not zipfile.is_zipfile(path):
        kind = what_it_is(path)
        raise InputError(
            f"{path} cannot be read as NPZ, since its end is missing; write or copy it again"
            if kind.startswith("a zip archive")
            else f"{path} cannot be read as NPZ; it is {kind}"
        )
    arrays, entry = {}, "it"
    try:
        with zipfile.ZipFile(path) as file:
            for entry in file.namelist():
                with file.open(entry) as part:
                    arrays[entry.removesuffix(".npy")] = np.lib.format.read_array(part, allow_pickle=False)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged ({_words(error)}); write or copy it again") from None
    except (ValueError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f"{path} cannot be read as NPZ, since {entry} holds no array of numbers or text ({_words(error)})"
        ) from None
    for name in ("response", "time_ms", "image"):
        if name not in arrays:
            raise InputError(f"{path} has no array {name!r}; it has {', '.join(arrays) or 'none'}")
    if arrays["response"].ndim != 3:
        raise InputError(
            f"{path}: response has {arrays['response'].ndim} axes, not (presentation, unit, time)"
        )
    response, times = (_numbers(arrays.pop(name), f"{path}: {name}") for name in ("response", "time_ms"))
    unit = {name: arrays.pop(name) for name in UNIT_LABELS if name in arrays}
    return _labelled(path, response, times, arrays, unit)


def _read_long(path: Path) -> xarray.Dataset:
    try:
        table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype={"image": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a table: {_words(error)}") from None
    for name in ("image", "time_ms", "response"):
        if name not in table:
            raise InputError(f"{path} has no column {name!r}; it has {', '.join(map(str, table.columns))}")
    if table.empty:
        raise InputError(f"{path} has no rows")
    shown = [name for name in PRESENTATION_LABELS if name in table]
    units = [name for name in UNIT_LABELS if name in table] or ["electrode"]
    if "electrode" not in table and units == ["electrode"]:
        table = table.assign(electrode="1")
    for name in ("time_ms", "response"):
        _numbers(table[name].to_numpy(), f"{path}: {name}")
    if table[["time_ms", "response"]].isna().any().any():
        raise InputError(f"{path} has rows without a time or a response")
    wide = table.pivot_table(
        index=shown, columns=[*units, "time_ms"], values="response", aggfunc="mean", sort=True
    )
    presentation, unit = wide.index.to_frame(), wide.columns.to_frame()
    times = np.unique(unit["time_ms"].to_numpy(dtype=float))
    if len(wide.columns) % len(times) or wide.isna().any().any():
        raise InputError(f"{path}: not every image, electrode and time has a response; fill or drop them")
    values = wide.to_numpy(dtype=np.float32).reshape(len(wide), -1, len(times))
    first = unit.iloc[:: len(times)]
    return _labelled(
        path,
        values,
        times,
        {name: presentation[name].to_numpy() for name in shown},
        {name: first[name].to_numpy() for name in units},
    )


def read_nwb(
    path: str | Path,
    image: str = "image",
    window_ms: tuple[float, float] = (-100.0, 500.0),
    bin_ms: float = 10.0,
) -> xarray.Dataset:
    """Read the firing rates of an NWB file.

    Args:
        path: the file.
        image: column of the trials that names what was shown.
        window_ms: first and last time around an onset, multiples of ``bin_ms``.
        bin_ms: width of the bins.

    Returns:
        Rates in spikes per second, with the coordinates image, condition (if the trials have one), neuron and area.

    Raises:
        InputError: a file that cannot be read or lacks spikes, trials or the column, or a window that has no whole bins.
    """
    try:
        from pynwb import NWBHDF5IO
    except ModuleNotFoundError:
        raise InputError(f'{path} is an NWB file, which needs pynwb: pip install -e ".[nwb]"') from None
    n_bins = (window_ms[1] - window_ms[0]) / bin_ms if bin_ms > 0 else 0.0
    if n_bins < 1 or abs(n_bins - round(n_bins)) > 1e-6:
        raise InputError(f"window_ms={window_ms} is not a number of bins of bin_ms={bin_ms:g}")
    try:
        with NWBHDF5IO(str(path), "r") as io:
            file = io.read()
            units = None if file.units is None else file.units.to_dataframe()
            trials = None if file.trials is None else file.trials.to_dataframe()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read as NWB: {_words(error)}") from None
    if units is None or "spike_times" not in units or trials is None:
        raise InputError(f"{path} needs units with spike_times, and trials")
    if image not in trials:
        raise unknown_name("column", image, list(map(str, trials.columns)), key="image")
    onsets = trials[next(name for name in ONSET_COLUMNS if name in trials)].to_numpy(dtype=float)
    edges = np.linspace(window_ms[0], window_ms[1], round(n_bins) + 1)
    places = onsets[:, None] + edges[None, :] / 1000.0
    rates = [_rates(np.sort(spikes), places, bin_ms) for spikes in units["spike_times"]]
    shown = {"image": trials[image].astype(str).to_numpy()}
    if "condition" in trials:
        shown["condition"] = trials["condition"].to_numpy()
    neuron = {"neuron": units.index.astype(str).to_numpy(), "area": _areas(units)}
    return labelled_responses(np.stack(rates, axis=1).astype(np.float32), edges[1:], shown, neuron)


def _rates(spikes: np.ndarray, places: np.ndarray, bin_ms: float) -> np.ndarray:
    """Spikes per second between the edges of the bins, (trials, bins); a spike on an edge ends its bin."""
    before = np.searchsorted(spikes, places.ravel(), side="right").reshape(places.shape)
    return np.diff(before, axis=1) * (1000.0 / bin_ms)


def _areas(units: pd.DataFrame) -> np.ndarray:
    """Areas of the units, of a column of theirs or of the first of their electrodes."""
    for name in AREA_COLUMNS:
        if name in units:
            return units[name].astype(str).to_numpy()
    if "electrodes" in units:
        return np.array([str(of["location"].iloc[0]) for of in units["electrodes"]])
    return np.full(len(units), "unknown")
