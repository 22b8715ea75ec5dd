"""Spikes from NWB files, as rates around the onsets of trials.

Bins have the width w = ``bin_ms``, each labelled by its end. The file has ``units`` with spike times, and ``trials`` with
``start_time`` (or ``onset_time``) and a column that names the image, all in seconds.

    r_k = n(onset + k w, onset + (k + 1) w] / w          spikes per second

Source of the format: Rübel et al. (2022), eLife 11:e78362.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dynvision.errors import InputError, check_extra, message_of, unknown_name
from dynvision.recordings.responses import labelled_responses

if TYPE_CHECKING:
    import pandas as pd
    import xarray

AREA_COLUMNS = ("area", "brain_area", "location")  # of units of an NWB file
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
    neuron = {"neuron": units.index.astype(str).to_numpy(), "area": _areas(units)}
    return labelled_responses(np.stack(rates, axis=1).astype(np.float32), edges[1:], shown, neuron)


def _rates(spikes: np.ndarray, places: np.ndarray, bin_ms: float) -> np.ndarray:
    """Return the spikes per second between the edges of the bins, (trials, bins); a spike on an edge ends its bin."""
    before = np.searchsorted(spikes, places.ravel(), side="right").reshape(places.shape)
    return np.diff(before, axis=1) * (1000.0 / bin_ms)


def _areas(units: pd.DataFrame) -> np.ndarray:
    """Return the areas of the units, of a column of theirs or of the first of their electrodes."""
    for name in AREA_COLUMNS:
        if name in units:
            return units[name].astype(str).to_numpy()
    if "electrodes" in units:
        return np.array([str(of["location"].iloc[0]) for of in units["electrodes"]])
    return np.full(len(units), "unknown")
