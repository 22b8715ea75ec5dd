"""Recordings from files, all as the Dataset of :mod:`dynvision.recordings.responses`.

| file            | content                                                                                           |
|-----------------|---------------------------------------------------------------------------------------------------|
| ``*.nc`` ``*.zarr`` | an xarray Dataset with ``response`` (presentation, unit, time_ms), in any order of dimensions |
| ``*.npz``       | ``response``, ``time_ms``, and coordinates by name; those named in ``UNIT_LABELS`` are of units   |
| ``*.csv``       | long form: image, time_ms, response, and any of condition, repetition, area, subject, electrode   |
| folder          | BIDS derivatives of intracranial recordings, in the layout of OpenNeuro ds004194 (Groen et al. 2022) |

Times are in ms from stimulus onset. Arrays of objects (pickles) are refused.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dynvision.errors import InputError
from dynvision.recordings.responses import DIMENSIONS, labelled_responses

if TYPE_CHECKING:
    import xarray

UNIT_LABELS = ("area", "subject", "electrode", "neuron", "sensor", "layer", "channel", "row", "column")
PRESENTATION_LABELS = ("image", "label", "condition", "repetition")


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
        return read_bids_derivatives(path)
    if path.suffix == ".npz":
        return _checked(_read_npz(path), path)
    if path.suffix in (".csv", ".tsv"):
        return _checked(_read_long(path), path)
    raise InputError(
        f"{path} is not of a known format; give *.nc, *.zarr, *.npz, *.csv, or a folder of BIDS derivatives"
    )


def read_bids_derivatives(folder: str | Path, image_column: str = "stim_file") -> xarray.Dataset:
    """Read preprocessed intracranial recordings of several subjects.

    The layout is that of OpenNeuro ds004194: below each ``sub-*``, for each run, ``*_events.tsv`` (onset, duration,
    trial_name or ``stim_file``), ``*_electrodes.tsv`` or ``*_channels.tsv`` (name, and an area in a column named
    ``area``, ``benson14_varea`` or ``wang15_mplbl``), and epochs as ``*_epochs.npz`` (``response`` (events,
    electrodes, time), ``time_ms``), as one makes them of the broadband signal around each onset.

    Args:
        folder: the derivative's folder.
        image_column: column of the events that names the image; ``trial_name`` is used where it is absent.

    Raises:
        InputError: no such files, or files that do not fit to each other.
    """
    folder = Path(folder)
    files = sorted(folder.glob("sub-*/**/*_epochs.npz"))
    if not files:
        raise InputError(f"{folder} has no sub-*/**/*_epochs.npz; see docs/recordings.md for the layout")
    parts = [_read_bids_run(path, image_column) for path in files]
    return _join_runs(parts, folder)


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
    if not np.issubdtype(dataset["response"].dtype, np.floating):
        dataset = dataset.astype({"response": np.float32})
    return dataset


def _read_xarray(path: Path) -> xarray.Dataset:
    import xarray

    try:
        if path.suffix == ".zarr":
            return xarray.open_zarr(path)
        return xarray.open_dataset(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def _read_npz(path: Path) -> xarray.Dataset:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{path} cannot be read as NPZ: {' '.join(str(error).split())}") from None
    for name in ("response", "time_ms", "image"):
        if name not in arrays:
            raise InputError(f"{path} has no array {name!r}; it has {', '.join(arrays) or 'none'}")
    if arrays["response"].ndim != 3:
        raise InputError(
            f"{path}: response has {arrays['response'].ndim} axes, not (presentation, unit, time)"
        )
    response, times = arrays.pop("response"), arrays.pop("time_ms")
    unit = {name: arrays.pop(name) for name in UNIT_LABELS if name in arrays}
    return labelled_responses(response.astype(np.float32), times, arrays, unit)


def _read_long(path: Path) -> xarray.Dataset:
    try:
        table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype={"image": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a table: {' '.join(str(error).split())}") from None
    for name in ("image", "time_ms", "response"):
        if name not in table:
            raise InputError(f"{path} has no column {name!r}; it has {', '.join(map(str, table.columns))}")
    shown = [name for name in PRESENTATION_LABELS if name in table]
    units = [name for name in UNIT_LABELS if name in table] or ["electrode"]
    if "electrode" not in table and units == ["electrode"]:
        table = table.assign(electrode="1")
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
    return labelled_responses(
        values,
        times,
        {name: presentation[name].to_numpy() for name in shown},
        {name: first[name].to_numpy() for name in units},
    )


def _read_bids_run(path: Path, image_column: str) -> tuple[Mapping[str, Any], np.ndarray, np.ndarray]:
    stem = path.name.removesuffix("_epochs.npz")
    with np.load(path, allow_pickle=False) as file:
        values, times = file["response"].astype(np.float32), file["time_ms"].astype(float)
    events = _tsv(path.with_name(f"{stem}_events.tsv"))
    electrodes = next(
        (_tsv(p) for p in (*path.parent.glob("*_electrodes.tsv"), *path.parent.glob("*_channels.tsv"))), None
    )
    if electrodes is None:
        raise InputError(f"{path.parent} has no *_electrodes.tsv or *_channels.tsv")
    name = image_column if image_column in events else "trial_name"
    if name not in events:
        raise InputError(f"{stem}_events.tsv has neither a column {image_column!r} nor trial_name")
    if (len(events), len(electrodes)) != values.shape[:2]:
        raise InputError(
            f"{path} has {values.shape[0]} events and {values.shape[1]} electrodes, "
            f"but its tables have {len(events)} and {len(electrodes)}"
        )
    area = next((c for c in ("area", "benson14_varea", "wang15_mplbl") if c in electrodes), None)
    labels = {
        "image": events[name].astype(str).to_numpy(),
        "electrode": electrodes["name"].astype(str).to_numpy(),
        "area": electrodes[area].astype(str).to_numpy() if area else np.full(len(electrodes), "unknown"),
        "subject": np.full(
            len(electrodes), next(p for p in path.parts[::-1] if p[:4] == "sub-" and "_" not in p)
        ),
    }
    return labels, values, times


def _join_runs(parts: list[tuple[Mapping[str, Any], np.ndarray, np.ndarray]], folder: Path) -> xarray.Dataset:
    """Electrodes of all subjects side by side, for the images that all of them saw; runs of a subject are averaged."""
    times = parts[0][2]
    if any(len(other) != len(times) or not np.allclose(other, times) for _, _, other in parts):
        raise InputError(f"{folder}: runs have different times; resample them to one grid")
    by_subject: dict[str, list[xarray.Dataset]] = {}
    for labels, values, _ in parts:
        unit = {name: labels[name] for name in ("subject", "electrode", "area")}
        part = labelled_responses(values, times, {"image": labels["image"]}, unit)
        by_subject.setdefault(str(labels["subject"][0]), []).append(part)
    import xarray

    means = [
        average_repetitions(
            xarray.concat(runs, "presentation", data_vars="minimal", coords="minimal", compat="override")
        )
        for runs in by_subject.values()
    ]
    common = sorted(set.intersection(*(set(mean["image"].values) for mean in means)))
    if not common:
        raise InputError(f"{folder}: no image was shown to all subjects")
    aligned = [mean.isel(presentation=np.searchsorted(mean["image"].values, common)) for mean in means]
    values = np.concatenate([one["response"].values for one in aligned], axis=1)
    names = ("subject", "electrode", "area")
    unit = {name: np.concatenate([one[name].values for one in aligned]) for name in names}
    return labelled_responses(values, times, {"image": np.array(common)}, unit)


def _tsv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t")
    except FileNotFoundError:
        raise InputError(f"there is no {path}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a table: {' '.join(str(error).split())}") from None
