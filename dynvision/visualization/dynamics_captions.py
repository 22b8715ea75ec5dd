"""What to know to read a figure of the dynamics of runs, in sentences. Loads no plotting library."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd


def spectrum_caption(table: pd.DataFrame) -> str:
    """Caption of the spectra."""
    radius = float(table.loc[table["point"] == "all_active", "modulus"].max())
    stable = (
        "All of them are inside the circle, so that each layer alone is stable."
        if radius < 1
        else f"The largest modulus is {radius:.3g}: that layer alone is not stable with all of its units active."
    )
    return (
        "Leading eigenvalues of one step of each layer, leak and recurrent delay included. Inside the dashed circle of "
        "modulus 1 a disturbance decays, and the faster the closer to the centre; off the real axis it oscillates. Filled: "
        "linearised where a test image holds the layer; open: with all units above threshold, the upper bound. "
        f"{stable}"
    )


def timescales_caption(table: pd.DataFrame) -> str:
    """Caption of the time constants."""
    seeds = int(table["n_seeds"].max())
    over = f" Lines are means over {seeds} seeds, and vertical bars show their range." if seeds > 1 else ""
    return (
        "Time constants from layer to layer: of the slowest mode of the layer's own step where a test image holds it; of "
        "the units' responses to noise that is new at every step (lag at which the autocorrelation falls to 1/e); and the "
        f"spectral radius with all units active, which is below 1 (dashed) if the layer alone is stable.{over}"
    )


def trajectories_caption(table: pd.DataFrame) -> str:
    """Caption of the trajectories."""
    return (
        f"Activity of {table['condition'].iloc[0]} in time, on the first two principal components of each layer over "
        f"{table['image'].nunique()} images, one line an image in the colour of its class. A dot marks stimulus onset; "
        "lines are strong while the stimulus is on. In brackets: part of the variance."
    )


def unrolling_caption(table: pd.DataFrame) -> str:
    """Caption of the unrolling."""
    difference = float(table["largest_difference"].max())
    return (
        f"Mean response of {table['condition'].iloc[0]} in biological time, with feedforward delays, and in engineering "
        "time, without them; shifted by the delays up to a layer the two are equal (largest difference of any unit: "
        f"{difference:.1e})."
    )


DYNAMICS_CAPTIONS: dict[str, Callable[[pd.DataFrame], str]] = {
    "spectrum": spectrum_caption,
    "timescales": timescales_caption,
    "trajectories": trajectories_caption,
    "unrolling": unrolling_caption,
}
