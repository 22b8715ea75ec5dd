"""Axes state what they are of, and bars above them when the stimulus is on."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dynvision.analysis.courses import StimulusPeriods, what_was_shown
from dynvision.visualization.axes import (
    draw_stimulus,
    is_logarithmic,
    labels_with_room,
    round_step,
    set_measure_axis,
)
from dynvision.visualization.style import STIMULUS
from tests.analysis.example_tables import MASK_MS, SOAS
from tests.visualization.drawn import bars, draw, panels


def test_one_bar_for_a_common_stimulus(example, run):
    made = example([run()])
    strip = next(axes for axes in draw("responses", made).figure.axes if not axes.axison)
    assert bars(strip) == [(0.0, 40.0)]


@pytest.mark.parametrize("name", ["responses", "performance"])
def test_bars_show_the_different_durations(example, run, name):
    made = example([run(), run(tau=9.0)], "duration_ms")
    figure = draw(name, made).figure
    strips = [axes for axes in figure.axes if not axes.axison]
    assert len(strips) == 2
    for strip in strips:
        assert bars(strip) == [(0.0, duration) for duration in made.experiment.config.values]
        colours = [to_hex(patch.get_facecolor()) for patch in strip.patches]
        assert colours == list(made.style.sequential(made.experiment.config.values).values())
        assert strip.get_xlim() == panels(figure)[0].get_xlim() == (-4.0, 80.0)


def test_two_pulses_are_two_bars():
    on = [False, True, False, True, True, False]
    table = pd.DataFrame({"value": 3.0, "time_ms": np.arange(6) * 2.0, "stimulus_on": on})
    axes = Figure().add_subplot()
    draw_stimulus(axes, table, {})
    assert bars(axes) == [(0.0, 2.0), (4.0, 8.0)]
    assert what_was_shown(table) == [StimulusPeriods(None, ((0.0, 2.0), (4.0, 8.0)))]


@pytest.mark.parametrize("name", ["responses", "performance", "dynamics"])
def test_masks_are_hatched_and_named_in_the_legend(example, run, name):
    drawn = draw(name, example([run()], "soa_ms"))
    *_, strip = (axes for axes in drawn.figure.axes if not axes.axison and axes.patches)
    masks = [(0.0, SOAS[0]), *((soa, min(soa + MASK_MS, 80.0)) for soa in SOAS[:-1])]
    assert sorted(bars(strip)) == sorted([*masks, *[(0.0, SOAS[0])] * 3])
    hatched = {patch.get_x() for patch in strip.patches if patch.get_hatch()}
    assert hatched == set(SOAS[:-1])
    said = [text.get_text() for legend in drawn.figure.legends for text in legend.get_texts()]
    assert said[-2:] == ["image on", "mask or other image"]
    assert "hatched when a mask is, in the colour of the SOA." in drawn.caption


def test_a_mask_that_all_share_is_in_grey(example, run):
    made = example([run()], "soa_ms", values=[20.0])
    drawn = draw("classifier", made)
    strip = next(axes for axes in drawn.figure.axes if not axes.axison)
    assert bars(strip) == [(0.0, SOAS[0]), (20.0, 20.0 + MASK_MS)]
    assert to_hex(strip.patches[1].get_edgecolor()) == to_hex(strip.patches[0].get_facecolor()) == STIMULUS
    assert "The grey bar on top shows when the stimulus is on, hatched when a mask is." in drawn.caption


def test_without_a_mask_the_legend_does_not_speak_of_it(example, run):
    drawn = draw("responses", example([run()]))
    assert "mask or other image" not in [
        text.get_text() for legend in drawn.figure.legends for text in legend.get_texts()
    ]
    assert "mask" not in drawn.caption and not drawn.table["mask_on"].any()


def test_bars_of_one_value_are_as_thick_as_those_of_all(example, run):
    strips = [
        axes for axes in draw("dynamics", example([run()], "duration_ms")).figure.axes if not axes.axison
    ]
    assert [len(strip.patches) for strip in strips[:2]] == [1, 6]
    assert strips[0].get_ylim() == strips[1].get_ylim() == (0, 6)


def test_sixty_stimulus_bars_are_no_higher_than_an_inch(example, run):
    values = tuple(float(value) for value in range(2, 62))
    figure = draw("performance", example([run()], "duration_ms", values=values, n_images=2)).figure
    (strip,) = [axes for axes in figure.axes if axes.patches and not axes.axison]
    assert strip.get_position().height * figure.get_figheight() < 1 and len(strip.patches) == 60


def test_logarithmic_axes_say_so(example, run):
    panel = panels(draw("measures", example([run()], "duration_ms")).figure)[0]
    assert panel.get_xscale() == "log" and panel.get_xlabel() == "duration (ms), log axis"
    panel = panels(draw("measures", example([run()])).figure)[0]
    assert panel.get_xscale() == "linear" and panel.get_xlabel() == "contrast"


@pytest.mark.parametrize(
    ("least", "dt", "step"),
    [(9.0, 2.0, 10.0), (4.0, 2.0, 10.0), (3.0, 1.0, 5.0), (11.0, 0.5, 20.0), (5.0, 3.0, 6.0)],
)
def test_ticks_of_time_are_at_round_times_that_were_sampled(least, dt, step):
    assert round_step(least, dt) == step
    assert (step / dt) % 1 == 0


def test_logarithmic_axes_are_for_ratios():
    assert is_logarithmic(np.array([2, 4, 8, 16, 32.0]))
    assert is_logarithmic(np.array([0.0625, 0.125, 0.25, 0.5, 1.0]))
    assert not is_logarithmic(np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]))  # a decade, not more
    assert not is_logarithmic(np.linspace(1, 20, 8))  # more than a decade, evenly in difference
    assert not is_logarithmic(np.array([0.0, 1.0, 100.0]))
    assert not is_logarithmic(np.array([1.0, 100.0]))


def test_tick_labels_have_room():
    values = np.array([0.0625, 0.125, 0.25, 0.5, 1.0])
    assert labels_with_room(values, np.log(values), 3.0) == list(values)
    assert labels_with_room(values, np.log(values), 1.25) == [0.0625, 0.25, 1.0]
    assert labels_with_room(np.array([1.0]), np.array([1.0]), 1.0) == [1.0]


@pytest.mark.parametrize(
    ("measure", "values", "limits"),
    [
        ("recovery", [0.2, 0.9], (0, 1.02)),
        ("recovery", [0.2, 1.4], (0, 1.08 * 1.4)),
        ("recovery", [-0.5, 0.5], (-0.5 - 0.08 * 1.5, 1 + 0.08 * 1.5)),
        ("peak", [2.0, 4.0], (0, 1.08 * 4)),
        ("peak", [0.0, 0.0], (0, 1.08)),
        ("r_double", [-1.0, np.nan], (-1.08, 0.08)),
    ],
)
def test_the_axis_of_a_measure_holds_all_of_it(measure, values, limits):
    axes = Figure().add_subplot()
    set_measure_axis(axes, measure, pd.DataFrame({"mean": values, "low": np.nan, "high": values}))
    assert axes.get_ylim() == pytest.approx(limits)
    assert bool(axes.lines) == (limits[0] < 0)
