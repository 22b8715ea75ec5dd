"""The figures of the dynamics of runs, from the tables of ``dynvision dynamics``.

Spectra and time constants are of all conditions, trajectories and unrollings of the first seed of one of them.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from dynvision.analysis.tables import read_columns
from dynvision.config.run import RunConfig
from dynvision.errors import InputError
from dynvision.runs import ResultPaths
from dynvision.visualization import dynamics_captions as captions
from dynvision.visualization.colours import condition_colours
from dynvision.visualization.comparison import Comparison
from dynvision.visualization.glyphs import legible_names
from dynvision.visualization.save import Drawn
from dynvision.visualization.spectrum import spectrum_figure
from dynvision.visualization.style import Style
from dynvision.visualization.tables import joined, names_of_classes
from dynvision.visualization.timescales import QUANTITIES, timescales_figure
from dynvision.visualization.trajectories import trajectories_figure
from dynvision.visualization.unrolling import unrolling_figure

MOST_SPECTRA = 4  # conditions below each other
COLUMNS: dict[str, tuple[str, ...]] = {
    "spectrum": ("layer", "point", "real", "imag", "modulus", "time_constant_ms"),
    "timescales": ("layer", *QUANTITIES),
    "trajectories": ("layer", "image", "label", "time_ms", "stimulus_on", "component", "score", "explained"),
    "unrolling": ("layer", "time_ms", "biological", "engineering", "largest_difference", "shift_ms"),
}


def draw_spectrum(
    paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style
) -> Drawn:
    """Leading eigenvalues of each layer, of the first seed of a few conditions, or of the base where there are many."""
    base = comparison.base or 0
    shown = list(range(len(comparison.labels)))
    shown = [base] if len(shown) > MOST_SPECTRA else shown
    first = [comparison.conditions[number].run_ids[0] for number in shown]
    table = _read_runs(paths, first, "spectrum")
    table.insert(0, "condition", [comparison.label_of(run_id) for run_id in table["run_id"]])
    titles = {comparison.labels[n]: comparison.labels[n] for n in shown}
    with style.context():
        figure = spectrum_figure(table, titles, style)
    return Drawn("spectrum", figure, table, captions.spectrum_caption(table))


def draw_timescales(
    paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style
) -> Drawn:
    """Time constants along the hierarchy, of all conditions."""
    measured = _read_runs(paths, [config.run_id for config in configs], "timescales")
    long = measured.melt(["run_id", "layer"], list(QUANTITIES), var_name="quantity", value_name="mean")
    table = comparison.average(long, ["quantity", "layer"])
    with style.context():
        colours = condition_colours(comparison, style)
        figure = timescales_figure(
            table, dict(zip(comparison.labels, comparison.labels, strict=True)), colours, style
        )
    return Drawn("timescales", figure, table, captions.timescales_caption(table))


def draw_trajectories(
    paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style
) -> Drawn:
    """Principal components in time, of one run."""
    table = _one_run(paths, comparison, "trajectories")
    table = table[table["component"] <= 2].reset_index(drop=True)
    with style.context():
        names = names_of_classes(paths, comparison.conditions[comparison.base or 0].config)
        figure = trajectories_figure(table, style, legible_names(names))
    return Drawn("trajectories", figure, table, captions.trajectories_caption(table))


def draw_unrolling(
    paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style
) -> Drawn:
    """Engineering and biological time, of one run.

    Raises:
        InputError: the run has no engineering time.
    """
    table = _one_run(paths, comparison, "unrolling")
    if table.empty:
        raise InputError(
            f"run {comparison.conditions[comparison.base or 0].run_ids[0]} has no engineering time to draw: its skips are "
            "faster than its feedforward path; leave the figure unrolling out"
        )
    with style.context():
        figure = unrolling_figure(table, style)
    return Drawn("unrolling", figure, table, captions.unrolling_caption(table))


DYNAMICS_FIGURES: dict[str, Callable[[ResultPaths, list[RunConfig], Comparison, Style], Drawn]] = {
    "spectrum": draw_spectrum,
    "timescales": draw_timescales,
    "trajectories": draw_trajectories,
    "unrolling": draw_unrolling,
}


def _one_run(paths: ResultPaths, comparison: Comparison, name: str) -> pd.DataFrame:
    index = comparison.base or 0
    table = _read_runs(paths, [comparison.conditions[index].run_ids[0]], name)
    table.insert(0, "condition", comparison.labels[index])
    return table


def _read_runs(paths: ResultPaths, run_ids: list[str], name: str) -> pd.DataFrame:
    files = [paths.root / "dynamics" / run_id / f"{name}.parquet" for run_id in run_ids]
    columns = ("run_id", *COLUMNS[name])
    return joined([read_columns(path, columns, "dynamics", "run dynvision dynamics") for path in files])
