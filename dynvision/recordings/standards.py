"""Recordings in the standards of the field: spikes from NWB, field potentials from BIDS derivatives.

**NWB.** Spikes are read as rates around the onsets of trials. Bins have the width w = ``bin_ms``, each labelled by its end.
The file has ``units`` with spike times, and ``trials`` with ``start_time`` (or ``onset_time``) and a column that names the
image, all in seconds.

    r_k = n(onset + k w, onset + (k + 1) w] / w          spikes per second

Source of the format: Rübel et al. (2022), eLife 11:e78362.

**BIDS.** Intracranial recordings of several subjects, in the layout of OpenNeuro ds004194.

    ECoGBroadband/                                  the derivative's folder, which is given
      areas.tsv                                     optional: subject, name, area
      sub-p01/ses-umcuiemu01/ieeg/
        sub-p01_ses-umcuiemu01_task-spatialpattern_run-01_desc-broadband_ieeg.vhdr (.eeg, .vmrk)    BrainVision
        sub-p01_ses-umcuiemu01_task-spatialpattern_run-01_desc-broadband_channels.tsv               name, type, status
        sub-p01_ses-umcuiemu01_task-spatialpattern_run-01_desc-broadband_events.tsv                 onset (s), trial_name

Continuous recordings are cut around the onsets, and expressed as change from the mean before them,

    r(t) = x(t) / mean over the run's events and baseline of x - 1

Good channels of electrodes (ECOG, SEEG) are kept. The data set has positions of electrodes and no areas; matched areas are
read from ``areas.tsv``, or from a column ``area``, ``benson14_varea`` or ``wang15_mplbl`` of channels or electrodes.

Source: Groen et al. (2022), J Neurosci 42:7562 (data and baseline); BIDS: Holdgraf et al. (2019), Sci Data 6:102.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dynvision.errors import InputError, check_extra, message_of, unknown_name
from dynvision.recordings.responses import labelled_responses
from dynvision.recordings.tables import read_rows

if TYPE_CHECKING:
    import xarray

UNIT_AREA_COLUMNS = ("area", "brain_area", "location")  # of units of an NWB file
ONSET_COLUMNS = ("onset_time", "start_time")  # of its trials


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
    check_extra("nwb", f"{path} is an NWB file, which", "pynwb")
    from pynwb import NWBHDF5IO

    n_bins = (window_ms[1] - window_ms[0]) / bin_ms if bin_ms > 0 else 0.0
    if n_bins < 1 or abs(n_bins - round(n_bins)) > 1e-6:
        raise InputError(f"window_ms={window_ms} is not a number of bins of bin_ms={bin_ms:g}")
    try:
        with NWBHDF5IO(str(path), "r") as io:
            file = io.read()
            units = None if file.units is None else file.units.to_dataframe()
            trials = None if file.trials is None else file.trials.to_dataframe()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read as NWB: {message_of(error)}") from None
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
    neuron = {"neuron": units.index.astype(str).to_numpy(), "area": _unit_areas(units)}
    return labelled_responses(np.stack(rates, axis=1).astype(np.float32), edges[1:], shown, neuron)


def _rates(spikes: np.ndarray, places: np.ndarray, bin_ms: float) -> np.ndarray:
    """Return the spikes per second between the edges of the bins, (trials, bins); a spike on an edge ends its bin."""
    before = np.searchsorted(spikes, places.ravel(), side="right").reshape(places.shape)
    return np.diff(before, axis=1) * (1000.0 / bin_ms)


def _unit_areas(units: pd.DataFrame) -> np.ndarray:
    """Return the areas of the units, of a column of theirs or of the first of their electrodes."""
    for name in UNIT_AREA_COLUMNS:
        if name in units:
            return units[name].astype(str).to_numpy()
    if "electrodes" in units:
        return np.array([str(of["location"].iloc[0]) for of in units["electrodes"]])
    return np.full(len(units), "unknown")


KINDS = ("ECOG", "SEEG")
IMAGE_COLUMNS = ("trial_name", "stim_file", "trial_type")
AREA_COLUMNS = ("area", "benson14_varea", "wang15_mplbl")
AREAS = "areas.tsv"
WINDOW_MS = (-200.0, 800.0)
BASELINE_MS = (-200.0, 0.0)


@dataclass(frozen=True)
class _Run:
    """Epochs of a run: (events, channels, times), the images of the events, and the channels' names and areas."""

    subject: str
    values: np.ndarray
    times_ms: np.ndarray
    images: np.ndarray
    names: np.ndarray
    areas: np.ndarray


def read_bids_derivatives(
    folder: str | Path,
    task: str = "",
    image: str | Sequence[str] = "",
    window_ms: tuple[float, float] = WINDOW_MS,
    baseline_ms: tuple[float, float] | None = BASELINE_MS,
) -> xarray.Dataset:
    """Read continuous recordings of a derivative, cut around their events.

    Args:
        folder: the derivative's folder, e.g. ``derivatives/ECoGBroadband``.
        task: the task that is read, e.g. ``spatialpattern``; empty reads all.
        image: column or columns of the events that name what was shown; several are joined by ``-``. If empty, the first of
            ``trial_name``, ``stim_file`` and ``trial_type`` that is there.
        window_ms: first and last time around an onset.
        baseline_ms: times of the baseline; None keeps the values as they are stored.

    Returns:
        Responses of the images that all subjects saw. Subjects stand side by side; of an image there are as many
        repetitions as of the subject with the fewest, and those of others are averaged in as many groups.

    Raises:
        InputError: no such files, files that do not fit to each other, or windows that leave a recording.
    """
    folder = Path(folder)
    named = f"_task-{task}_" if task else ""
    headers = sorted(path for path in folder.glob("sub-*/**/*_ieeg.vhdr") if named in path.name)
    if not headers:
        found = sorted(
            {m[1] for p in folder.glob("sub-*/**/*_ieeg.vhdr") if (m := re.search("_task-([^_]+)_", p.name))}
        )
        raise InputError(
            f"{folder} has no task {task!r}; it has {', '.join(found)}"
            if found
            else f"{folder} has no sub-*/**/*_ieeg.vhdr; give the folder of a derivative, e.g. derivatives/ECoGBroadband"
        )
    if baseline_ms is not None and not window_ms[0] <= baseline_ms[0] < baseline_ms[1] <= window_ms[1]:
        raise InputError(f"baseline_ms={baseline_ms} must lie within window_ms={window_ms}")
    given = (image,) if isinstance(image, str) and image else tuple(image)
    columns = [name.lower() for name in given]
    areas = _areas(folder)
    return _side_by_side([_read(path, columns, window_ms, baseline_ms, areas) for path in headers], folder)


def _read(
    header: Path,
    columns: Sequence[str],
    window_ms: tuple[float, float],
    baseline_ms: tuple[float, float] | None,
    areas: Mapping[tuple[str, str], str],
) -> _Run:
    stem = header.name.removesuffix("_ieeg.vhdr")
    rates = ("sampling_frequency",)
    channels = read_rows(header.with_name(f"{stem}_channels.tsv"), ("name", "type"), ("name",), rates)
    events = read_rows(header.with_name(f"{stem}_events.tsv"), ("onset",), (), ("onset",))
    is_good = channels["status"].eq("good") if "status" in channels else pd.Series(True, channels.index)
    kept = channels[channels["type"].str.upper().isin(KINDS) & is_good]
    if kept.empty:
        raise InputError(f"{stem}_channels.tsv has no good channel of type {' or '.join(KINDS)}")
    names, rate, recorded = _recording(header)
    if "sampling_frequency" in kept:  # the header has the interval, rounded
        rate = float(kept["sampling_frequency"].iloc[0])
    missing = [name for name in kept["name"] if name not in names]
    if missing:
        raise InputError(f"{header.name} has no channel {missing[0]!r} of {stem}_channels.tsv")
    signal = recorded[[names.index(name) for name in kept["name"]]]
    # Up to rounding: a time that falls on a sample is part of the window.
    first, last = np.ceil(window_ms[0] * rate / 1000 - 1e-6), np.floor(window_ms[1] * rate / 1000 + 1e-6)
    offsets = np.arange(int(first), int(last) + 1)
    onsets = np.round(events["onset"].to_numpy() * rate).astype(int)
    places = onsets[:, None] + offsets[None, :]
    outside = np.flatnonzero((places < 0).any(axis=1) | (places >= signal.shape[1]).any(axis=1))
    if len(outside):
        raise InputError(
            f"{stem}_events.tsv: the window {window_ms} ms around the event in row {outside[0] + 2} leaves the recording; "
            "shorten window_ms"
        )
    values = signal[:, places].transpose(1, 0, 2)
    times = offsets * 1000.0 / rate
    if baseline_ms is not None:
        before = (times >= baseline_ms[0] - 1e-6) & (times < baseline_ms[1] - 1e-6)
        level = values[:, :, before].mean(axis=(0, 2), keepdims=True)
        if not (np.abs(level) > 0).all():
            raise InputError(f"{header.name}: a channel is zero before the onsets; set baseline_ms to None")
        values = values / level - 1
    subject = next(part for part in header.parts[::-1] if part.startswith("sub-") and "_" not in part)
    return _Run(
        subject,
        values,
        times,
        _images(events, columns, stem),
        kept["name"].to_numpy(dtype=str),
        _areas_of(kept, header, subject, areas),
    )


def _recording(header: Path) -> tuple[list[str], float, np.ndarray]:
    """Return the names of the channels, samples per second, and the values (channels, samples)."""
    check_extra("recordings", f"{header} is BrainVision, which", "mne")
    import mne

    try:
        raw = mne.io.read_raw_brainvision(header, preload=True, verbose="error")
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"{header} cannot be read as BrainVision: {message_of(error)}") from None
    return list(raw.ch_names), float(raw.info["sfreq"]), raw.get_data()


def _images(events: pd.DataFrame, columns: Sequence[str], stem: str) -> np.ndarray:
    if not columns:
        columns = [name for name in IMAGE_COLUMNS if name in events][:1]
    missing = [name for name in columns or IMAGE_COLUMNS if name not in events]
    if missing:
        raise InputError(
            f"{stem}_events.tsv has no column {missing[0]!r} that names the images; it has {', '.join(events.columns)}"
        )
    joined = events[columns[0]].astype(str)
    for name in columns[1:]:
        joined = joined + "-" + events[name].astype(str)
    return joined.to_numpy()


def _areas(folder: Path) -> dict[tuple[str, str], str]:
    """Return the areas by subject and electrode, of ``areas.tsv``."""
    if not (folder / AREAS).exists():
        return {}
    columns = ["subject", "name", "area"]
    rows = read_rows(folder / AREAS, columns, columns, ())[columns].itertuples(index=False)
    return {(f"sub-{subject.removeprefix('sub-')}", name): area for subject, name, area in rows}


def _areas_of(
    channels: pd.DataFrame, header: Path, subject: str, areas: Mapping[tuple[str, str], str]
) -> np.ndarray:
    electrodes = sorted(header.parent.glob("*_electrodes.tsv"))
    tables = [channels, *(read_rows(path, (), ("name",), ()) for path in electrodes)]
    column = next(((t, c) for t in tables for c in AREA_COLUMNS if c in t and "name" in t), None)
    matched = (
        {} if column is None else dict(zip(column[0]["name"], column[0][column[1]].astype(str), strict=True))
    )
    return np.array([areas.get((subject, name), matched.get(name, "unknown")) for name in channels["name"]])


def _side_by_side(runs: Sequence[_Run], folder: Path) -> xarray.Dataset:
    """Return the electrodes of all subjects, for the images that all of them saw."""
    times = runs[0].times_ms
    if any(len(run.times_ms) != len(times) or not np.allclose(run.times_ms, times) for run in runs):
        raise InputError(f"{folder}: runs have different sampling frequencies; resample them to one")
    subjects: dict[str, list[_Run]] = {}
    for run in runs:
        subjects.setdefault(run.subject, []).append(run)
    shown: list[dict[str, np.ndarray]] = []
    unit: dict[str, list[Any]] = {"subject": [], "electrode": [], "area": []}
    for subject, own in subjects.items():
        # A channel may be bad in one run: those that are good in all of them are kept.
        names = [name for name in own[0].names if all(name in run.names for run in own)]
        if not names:
            raise InputError(f"{folder}: no channel of {subject} is good in all of its runs")
        epochs = np.concatenate([run.values[:, [list(run.names).index(n) for n in names]] for run in own])
        images = np.concatenate([run.images for run in own])
        shown.append({str(name): epochs[images == name] for name in np.unique(images)})
        by_name = dict(zip(own[0].names, own[0].areas, strict=True))
        unit["subject"] += [subject] * len(names)
        unit["electrode"] += names
        unit["area"] += [by_name[name] for name in names]
    common = sorted(set.intersection(*(set(of_subject) for of_subject in shown)))
    if not common:
        raise InputError(
            f"{folder}: no image was shown to all subjects; choose a task, or the columns of image"
        )
    values: list[np.ndarray] = []
    image: list[str] = []
    repetition: list[int] = []
    for name in common:
        fewest = min(len(of_subject[name]) for of_subject in shown)
        for number in range(fewest):
            values.append(np.concatenate([of[name][number::fewest].mean(axis=0) for of in shown]))
        image += [name] * fewest
        repetition += range(fewest)
    labels = {"image": np.array(image), "repetition": np.array(repetition)}
    return labelled_responses(np.stack(values).astype(np.float32), times, labels, unit)
