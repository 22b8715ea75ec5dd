"""Experiments on a single unit: step, impulse, frequency response, f-I curve and phase line, one figure each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
from matplotlib.axes import Axes

from dynvision.visualization.layout import panel_grid
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import INK, MUTED, STIMULUS, Style

SIZE = (2.6, 1.8)
ROUND_HZ = [digit * 10.0**power for power in range(-2, 6) for digit in (1, 3)]
TIME = "time from onset (ms)"
CAPTION = {
    "step": "Response of {unit} to an input that is on during the grey bar, for three strengths.",
    "impulse": "Response of {unit} to an input that is on for one step of {dt:g} ms, for three strengths.",
    "frequency": "Response of {unit} to a sine: its amplitude over that of the input, and its phase lag.",
    "f_i": "Response of {unit} to constant inputs: its largest value, and the mean of the last tenth of the time.",
    "phase": "Rate of change of {unit} beside its response, while the input is on (lines) and after it (dashed).",
}


def neuron_figures(
    tables: Mapping[str, pd.DataFrame], unit: str, dt: float, labels: tuple[str, str], style: Style
) -> list[Drawn]:
    """Draw all experiments on a unit.

    Args:
        tables: as :func:`dynvision.neurons.experiments.measure_unit` returns them.
        unit: what it is, for title and caption.
        dt: its step in ms.
        labels: of its input and its response.
        style: the look.
    """
    made = []
    with style.context():
        for name, draw in FIGURES.items():
            n_columns = 2 if name == "frequency" else 1
            grid = panel_grid(1, n_columns, *SIZE, gap=(0.75, 0.0))
            draw(list(grid.panels[0]), tables[name], labels, style)
            grid.panels[0][0].set_title(unit, loc="left")
            caption = CAPTION[name].format(unit=unit, dt=dt)
            made.append(Drawn(f"neuron_{name}", grid.figure, tables[name], caption))
    return made


def _by_strength(table: pd.DataFrame, style: Style) -> list[tuple[float, pd.DataFrame, str]]:
    colours = style.sequential(table["amplitude"].unique())
    return [(a, table[table["amplitude"] == a], colour) for a, colour in sorted(colours.items())]


def _draw_in_time(panels: list[Axes], table: pd.DataFrame, labels: tuple[str, str], style: Style) -> None:
    (axes,) = panels
    for strength, rows, colour in _by_strength(table, style):
        axes.plot([0.0, *rows["time_ms"]], [0.0, *rows["response"]], color=colour, label=f"{strength:g}")
    axes.set_xlabel(TIME)
    axes.set_ylabel(labels[1])
    axes.set_xlim(0.0, table["time_ms"].max())
    axes.margins(y=0.1)
    axes.legend(title=labels[0], frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _draw_step(panels: list[Axes], table: pd.DataFrame, labels: tuple[str, str], style: Style) -> None:
    _draw_in_time(panels, table, labels, style)
    end = table.loc[table["input"] > 0, "time_ms"].max()
    box = panels[0].get_xaxis_transform()
    panels[0].plot([0.0, end], [1.0, 1.0], color=STIMULUS, linewidth=4, transform=box, clip_on=False)


def _draw_frequency(panels: list[Axes], table: pd.DataFrame, labels: tuple[str, str], style: Style) -> None:
    for axes, column, label in zip(panels, ("gain", "lag_deg"), ("gain", "lag (degrees)"), strict=True):
        axes.plot(table["frequency_hz"], table[column], color=INK, marker="o", markersize=3)
        low, high = table["frequency_hz"].min(), table["frequency_hz"].max()
        axes.set_xscale("log")
        shown = [f for f in ROUND_HZ if 0.95 * low <= f <= 1.05 * high]
        axes.set_xticks(shown, [f"{f:g}" for f in shown])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("frequency (Hz, logarithmic)")
        axes.set_ylabel(label)
        drawn = table[column].fillna(0.0)
        axes.set_ylim(min(0.0, 1.1 * drawn.min()), 1.1 * drawn.max() or 1.0)


def _draw_f_i(panels: list[Axes], table: pd.DataFrame, labels: tuple[str, str], style: Style) -> None:
    (axes,) = panels
    axes.plot(table["amplitude"], table["peak"], color=MUTED, marker="s", markersize=3, label="largest")
    axes.plot(table["amplitude"], table["steady"], color=INK, marker="o", markersize=3, label="in the end")
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _draw_phase(panels: list[Axes], table: pd.DataFrame, labels: tuple[str, str], style: Style) -> None:
    (axes,) = panels
    axes.axhline(0.0, color=MUTED, linewidth=0.8, zorder=0)
    for strength, rows, colour in _by_strength(table, style):
        on = rows["is_on"].to_numpy(dtype=bool)
        axes.plot(rows["response"][on], rows["rate_per_ms"][on], color=colour, label=f"{strength:g}")
        axes.plot(rows["response"][~on], rows["rate_per_ms"][~on], color=colour, linestyle="--")
    axes.set_xlabel(labels[1])
    axes.set_ylabel("rate of change (per ms)")
    axes.legend(title=labels[0], frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


FIGURES: dict[str, Callable[[list[Axes], pd.DataFrame, tuple[str, str], Style], None]] = {
    "step": _draw_step,
    "impulse": _draw_in_time,
    "frequency": _draw_frequency,
    "f_i": _draw_f_i,
    "phase": _draw_phase,
}
