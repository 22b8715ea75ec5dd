"""Recordings from files, all as the Dataset of :mod:`dynvision.recordings.responses`.

| file            | content                                                                                           |
|-----------------|---------------------------------------------------------------------------------------------------|
| ``*.nc`` ``*.zarr`` | an xarray Dataset with ``response`` (presentation, unit, time_ms), in any order of dimensions |
| ``*.npz``       | ``response``, ``time_ms``, and coordinates by name; those named in ``UNIT_LABELS`` are of units   |
| ``*.csv``       | long form: image, time_ms, response, and any of condition, repetition, area, subject, electrode   |
| ``*.nwb``       | spikes as rates (:mod:`dynvision.recordings.standards`); needs the extra ``nwb``                  |
| folder          | BIDS derivatives of intracranial recordings (:mod:`dynvision.recordings.standards`)               |

Times are in ms from stimulus onset. Arrays of objects (pickles) are refused.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dynvision.errors import InputError, check_extra, message_of
from dynvision.files import what_it_is
from dynvision.recordings.responses import DIMENSIONS, labelled_responses
from dynvision.recordings.standards import read_bids_derivatives, read_nwb
from dynvision.recordings.tables import plain_names, read_rows
from dynvision.text import first_few

if TYPE_CHECKING:
    import xarray

UNIT_LABELS = ("area", "subject", "electrode", "neuron", "sensor", "layer", "channel", "row", "column")
PRESENTATION_LABELS = ("image", "label", "condition", "repetition")
NAMES = ("image", "area", "subject", "electrode", "neuron", "sensor", "layer")  # labels that are text
MILLISECONDS = ("ms", "msec", "millisecond", "milliseconds")
N_TOO_FAST, TOO_FAST_MS = 10, 5.0  # nothing is recorded so often in so short a time: it is in seconds


def read_recording(path: str | Path) -> xarray.Dataset:
    """Read a recording; the format follows from the name.

    Raises:
        InputError: the file is missing, damaged, of another format, or lacks what a comparison needs.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no recording {path}")
    suffix = path.suffix.lower()
    if suffix in (".zarr", ".nc", ".h5", ".netcdf"):
        return _checked(_read_xarray(path), path)
    if path.is_dir():
        return read_bids_derivatives(path)
    if suffix == ".nwb":
        return read_nwb(path)
    if suffix == ".npz":
        return _checked(_read_npz(path), path)
    if suffix in (".csv", ".tsv"):
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


def shared_condition(
    labels: Sequence[np.ndarray], names: tuple[str, str], value: float | None
) -> list[np.ndarray] | None:
    """Return which rows of two sides are compared; None where both have several conditions, which are matched by name.

    Args:
        labels: the condition of each row of a side, as :func:`condition_name` writes it.
        names: of the sides, for errors.
        value: the condition that is compared, where a side has several.

    Raises:
        InputError: several conditions on one side alone, or the value is none of them.
    """
    known = [list(dict.fromkeys(of_side)) for of_side in labels]
    if value is None and all(len(conditions) > 1 for conditions in known):
        return None
    rows = []
    for n, conditions in enumerate(known):
        listed = ", ".join(conditions)
        chosen = conditions[0] if len(conditions) == 1 else "" if value is None else condition_name(value)
        if not chosen:
            raise InputError(
                f"the {names[n]} has {len(conditions)} conditions ({listed}) and the {names[1 - n]} has not; "
                "choose one with value"
            )
        if chosen not in conditions:
            raise InputError(f"value={value:g} is none of the conditions of the {names[n]}: {listed}")
        rows.append(labels[n] == chosen)
    return rows


def condition_name(condition: object) -> str:
    """Return a condition as text; a number is written in one way."""
    try:
        return f"{float(str(condition)):g}"
    except ValueError:
        return str(condition)


def _checked(dataset: xarray.Dataset, path: Path) -> xarray.Dataset:
    """Return a recording with its axes and times in order, images named as text.

    Raises:
        InputError: an axis or a label that a comparison needs is missing, of another shape, not a number or empty.
    """
    if "response" not in dataset or set(dataset["response"].dims) != set(DIMENSIONS):
        has = dataset["response"].dims if "response" in dataset else tuple(map(str, dataset.data_vars))
        raise InputError(
            f"{path} must have a variable response with the dimensions {', '.join(DIMENSIONS)}; "
            f"{'its dimensions are' if 'response' in dataset else 'it has'} {', '.join(map(str, has)) or 'none'}"
        )
    for name, dimension in (("image", "presentation"), ("time_ms", "time_ms")):
        if name not in dataset.coords:
            raise InputError(f"{path} needs the coordinate {name}, along {dimension}")
    for dimension, labels in (("presentation", PRESENTATION_LABELS), ("unit", UNIT_LABELS)):
        for name in labels:
            if name in dataset.coords:
                dataset = dataset.assign_coords({name: (dimension, _labels(dataset[name], dimension, path))})
    for name in ("response", "time_ms"):
        _numbers(dataset[name], f"{path}: {name}")
    dataset = dataset.transpose(*DIMENSIONS, ...)
    dataset = dataset.assign_coords(time_ms=_times(dataset["time_ms"], path))
    if np.any(np.diff(dataset["time_ms"].values) < 0):
        dataset = dataset.sortby("time_ms")
    if not np.issubdtype(dataset["response"].dtype, np.floating):
        dataset = dataset.astype({"response": np.float32})
    return dataset


def _labels(coordinate: xarray.DataArray, dimension: str, path: Path) -> np.ndarray:
    """Return the labels of presentations or units: one each, none empty, names as text."""
    if coordinate.dims != (dimension,):
        raise InputError(
            f"{path}: {coordinate.name} must have one value for each {dimension}; it is along "
            f"{', '.join(map(str, coordinate.dims)) or 'nothing'}"
        )
    values = coordinate.values
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    if coordinate.name not in NAMES:
        return values
    names = plain_names(pd.Series(values))
    empty = np.flatnonzero(names.isna() | (names == ""))
    if len(empty):
        raise InputError(
            f"{path}: {coordinate.name} is empty at {dimension} {first_few(map(str, empty))}; name it, or leave these out"
        )
    return names.to_numpy(dtype=str)


def _times(coordinate: xarray.DataArray, path: Path) -> np.ndarray:
    """Return times in ms, each once."""
    times = coordinate.values
    unit = str(coordinate.attrs.get("units", "ms"))
    if unit not in MILLISECONDS:
        raise InputError(f"{path}: time_ms is in {unit}; give ms from stimulus onset")
    if not np.isfinite(times).all() or len(np.unique(times)) < len(times):
        raise InputError(
            f"{path}: time_ms has a value that is not a number, or one twice; each time needs its own"
        )
    if len(times) > N_TOO_FAST and np.ptp(times) < TOO_FAST_MS:
        raise InputError(
            f"{path}: time_ms has {len(times)} values from {times.min():g} to {times.max():g}; they are in ms, so multiply "
            "seconds by 1000"
        )
    return times.astype(float)


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


def _read_xarray(path: Path) -> xarray.Dataset:
    check_extra("recordings", str(path), "xarray", "zarr" if path.suffix == ".zarr" else "h5netcdf")
    import xarray

    try:
        if path.suffix.lower() == ".zarr":
            return xarray.open_zarr(path, consolidated=False)
        return xarray.open_dataset(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {message_of(error)}") from None


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
        raise InputError(f"{path} is damaged ({message_of(error)}); write or copy it again") from None
    except (ValueError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f"{path} cannot be read as NPZ, since {entry} holds no array of numbers or text ({message_of(error)})"
        ) from None
    for name in ("response", "time_ms", "image"):
        if name not in arrays:
            raise InputError(f"{path} has no array {name!r}; it has {', '.join(arrays) or 'none'}")
    if arrays["response"].ndim != 3:
        raise InputError(
            f"{path}: response has {arrays['response'].ndim} axes, not (presentation, unit, time)"
        )
    response, times = (_numbers(arrays.pop(name), f"{path}: {name}") for name in ("response", "time_ms"))
    n_shown, n_units, _ = response.shape
    shown: dict[str, np.ndarray] = {}
    unit: dict[str, np.ndarray] = {}
    attributes = {}
    for name, values in arrays.items():
        if values.ndim == 0:
            attributes[name] = values.item()
        elif name in UNIT_LABELS or (
            values.shape == (n_units,) != (n_shown,) and name not in PRESENTATION_LABELS
        ):
            unit[name] = values
        else:
            shown[name] = values
    if times.shape == response.shape[2:]:
        order = np.argsort(times, kind="stable")
        times, response = times[order], response[..., order]
    return _labelled(path, response, times, shown, unit).assign_attrs(attributes)


def _read_long(path: Path) -> xarray.Dataset:
    table = read_rows(path, ("image", "time_ms", "response"), NAMES, ("time_ms", "response"))
    shown = [name for name in PRESENTATION_LABELS if name in table]
    units = [name for name in UNIT_LABELS if name in table]
    empty = table[[*shown, *units, "time_ms", "response"]].isna()
    if empty.any(axis=None):
        row = int(np.flatnonzero(empty.any(axis=1))[0])
        raise InputError(
            f"{path}: {empty.columns[empty.iloc[row]][0]} is empty in row {row + 2}; fill it or remove the row"
        )
    if not units:
        units, table = ["electrode"], table.assign(electrode="1")
    again = table.duplicated([*shown, *units, "time_ms"])
    if again.any():
        raise InputError(
            f"{path} has {int(again.sum())} rows whose {', '.join([*shown, *units, 'time_ms'])} another row has, too, "
            f"e.g. row {np.flatnonzero(again)[0] + 2}; number repetitions in a column repetition, and name electrodes in "
            "a column electrode"
        )
    wide = table.set_index([*shown, *units, "time_ms"])["response"].unstack([*units, "time_ms"])
    times, n_units = np.unique(table["time_ms"]), len(table[units].drop_duplicates())
    if len(wide.columns) != n_units * len(times) or wide.isna().any().any():
        raise InputError(f"{path}: not every image, electrode and time has a response; fill or drop them")
    wide = wide.sort_index(axis=0).sort_index(axis=1)
    values = wide.to_numpy(dtype=np.float32).reshape(len(wide), -1, len(times))
    presentation, first = wide.index.to_frame(), wide.columns[:: len(times)].to_frame()
    return _labelled(
        path,
        values,
        times,
        {name: presentation[name].to_numpy() for name in shown},
        {name: first[name].to_numpy() for name in units},
    )
