"""Figures show the numbers of their tables, all of them and nothing else."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from dynvision.analysis import NamedExperiment
from dynvision.config.visualization import EXPERIMENT_FIGURES, SWEEP_FIGURES
from dynvision.visualization.classifier import classifier_figure
from dynvision.visualization.measures import hides_a_line, measures_caption
from dynvision.visualization.save import save_figure
from dynvision.visualization.training import draw_training_course
from tests.visualization.drawn import curves, draw, panels

KINDS = ("full", "self", "none")


def test_responses_draw_the_csv_and_the_csv_alone(example, run, style, tmp_path):
    made = example([run(recurrence_type=kind) for kind in KINDS])
    drawn = draw("responses", made)
    save_figure(drawn, tmp_path, style)
    written = pd.read_csv(tmp_path / "responses.csv", float_precision="round_trip")
    axes = iter(panels(drawn.figure))
    for layer in ("V1", "V2", "V4", "IT"):
        for condition in ("recurrence: none", "recurrence: self", "recurrence: full"):
            of_panel = written[(written["layer"] == layer) & (written["condition"] == condition)]
            panel = next(axes)
            lines = curves(panel)
            values = sorted(of_panel["value"].unique(), reverse=True)
            assert len(lines) == len(values) == len(panel.collections)
            for line, band, value in zip(lines, panel.collections, values, strict=True):
                rows = of_panel[of_panel["value"] == value]
                np.testing.assert_array_equal(line, rows[["time_ms", "mean"]].to_numpy())
                edge = band.get_paths()[0].vertices
                assert edge[:, 1].max() == rows["high"].max() and edge[:, 1].min() == rows["low"].min()
            assert panel.get_ylim()[1] > of_panel["high"].max()
    assert next(axes, None) is None
    assert len(written) == 3 * 4 * 6 * 42


def test_line_colours_follow_the_value(example, run):
    made = example([run()])
    panel = panels(draw("responses", made).figure)[0]
    expected = list(made.style.sequential(made.experiment.config.values).values())[::-1]
    assert [to_hex(line.get_color()) for line in panel.lines if len(line.get_xydata()) > 2] == expected


@pytest.mark.parametrize("n_runs", [1, 2, 3])
def test_measures_draw_the_csv(example, run, n_runs):
    made = example([run(recurrence_type=kind) for kind in KINDS[:n_runs]], "duration_ms")
    drawn = draw("measures", made)
    shared = n_runs < 3  # of four layers each
    axes = panels(drawn.figure)
    measures = ["rise_time_ms", "peak", "summed_response", "accuracy_peak", "accuracy_mean_on"]
    assert len(axes) == (5 if shared else 15)
    drawn_points = {tuple(point) for panel in axes for line in curves(panel) for point in line}
    assert drawn_points == set(drawn.table[["value", "mean"]].itertuples(index=False, name=None))
    spans = {
        tuple(segment[:, 1])
        for panel in axes
        for span in panel.collections
        for segment in span.get_segments()
    }
    assert spans == set(drawn.table[["low", "high"]].itertuples(index=False, name=None))
    for number, measure in enumerate(measures):
        of_measure = drawn.table[drawn.table["measure"] == measure]
        panel = axes[number if shared else number * n_runs]
        assert len(curves(panel)) == of_measure["layer"].nunique() * (n_runs if shared else 1)
    assert axes[0].get_ylabel() == "time to 90 % of peak\n(ms)" and axes[0].get_xscale() == "log"
    assert axes[2 if shared else 6].get_ylabel() == "summed response\n(a.u. × ms)"


def test_conditions_in_one_panel_have_their_own_line_and_marker(example, run):
    made = example([run(feedback=kind) for kind in ("none", "additive")])
    panel = panels(draw("measures", made).figure)[0]
    looks = {(line.get_linestyle(), line.get_marker()) for line in panel.lines}
    assert looks == {("-", "o"), ("--", "s")}


def test_lines_that_would_hide_each_other_are_heavier_below_and_stay_where_they_are(example, run):
    table = pd.DataFrame({"condition": "a", "layer": ["V1", "V1", "V2", "V2"], "value": [1.0, 2.0] * 2})
    assert hides_a_line(table.assign(mean=[38.0, 38.0, 38.0, 38.0]))
    assert not hides_a_line(table.assign(mean=[0.0, 38.0, 0.0, 36.0]))  # one end is enough to tell them apart
    assert not hides_a_line(table.iloc[:2].assign(mean=1.0))
    made = example([run()])
    made.tables.metrics.loc[made.tables.metrics["measure"] == "peak", "mean"] = 1.0
    figure = draw("measures", made).figure
    apart, alike = panels(figure)[:2]
    assert len({line.get_linewidth() for line in apart.lines}) == 1
    widths = [line.get_linewidth() for line in alike.lines]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) == 4
    values = list(made.experiment.config.values)
    for line in alike.lines:
        drawn = line.get_transform().transform(line.get_xydata())
        assert drawn == pytest.approx(alike.transData.transform(np.column_stack([values, np.ones(6)])))


SIXTY = tuple(np.linspace(0.05, 1, 60).round(4).tolist())


@pytest.mark.parametrize("name", ["responses", "performance", "dynamics"])
def test_of_sixty_values_there_is_a_colour_bar_and_no_legend_of_sixty_lines(example, run, name):
    made = example([run()], values=SIXTY, n_images=2)
    drawn = draw(name, made)
    assert max((len(legend.get_texts()) for legend in drawn.figure.legends), default=0) <= 12
    (bar,) = [axes for axes in drawn.figure.axes if axes.images]
    labels = [text.get_text() for text in bar.get_yticklabels()]
    assert labels[0] == "0.05" and labels[-1] == "1" and len(labels) <= 7
    colours = bar.images[0].get_cmap()(np.arange(60))
    assert [to_hex(colour) for colour in colours] == list(made.style.sequential(SIXTY).values())
    assert drawn.figure.get_figheight() < 8
    assert "intervals are in the CSV" in drawn.caption
    few = draw(name, example([run()], n_images=2))
    assert not [axes for axes in few.figure.axes if axes.images]


def test_captions_say_what_intervals_are_drawn_as(example, run):
    """Bands where a line has many values, vertical bars otherwise; what is drawn of courses says nothing of measures."""
    few, many = (example([run()], values=values, n_images=3) for values in (None, SIXTY))
    measures = draw("measures", few)
    assert "Vertical bars show" in measures.caption and "ands show" not in measures.caption.replace(
        "bars show", ""
    )
    assert any(axes.collections for axes in measures.figure.axes)
    assert (
        "Bands show" in draw("measures", many).caption
        and "ertical bars" not in draw("measures", many).caption
    )
    caption = draw("dynamics", few).caption
    assert "Middle: Bands show" in caption and "Right: Vertical bars show" in caption
    caption = draw("dynamics", many).caption
    assert "Middle: Of so many lines" in caption and "Right: Bands show" in caption


def test_a_caption_speaks_of_heavier_lines_only_where_there_are_some(example, run):
    table = draw("measures", example([run()], n_images=3)).table
    peaks = table[table["measure"] == "peak"].reset_index(drop=True)
    apart = peaks.assign(mean=peaks["mean"] + peaks["layer"].cat.codes)
    same = peaks.assign(mean=0.5)
    assert "heavier" not in measures_caption(apart, "contrast") and "heavier" in measures_caption(
        same, "contrast"
    )
    assert "heavier" not in measures_caption(same, "contrast", of_conditions=True)


@pytest.mark.parametrize("name", ["measures", "robustness"])
def test_of_thirty_conditions_there_is_one_figure_with_a_colour_bar(example, run, name):
    made = example([run(tau=float(tau)) for tau in range(3, 33)], values=(0.2, 1.0), n_images=2)
    figure = draw(name, made).figure
    assert len([axes for axes in figure.axes if axes.images]) == 1 and figure.get_figheight() < 8
    assert max((len(legend.get_texts()) for legend in figure.legends), default=0) <= 12


def as_truths(made):
    """An example whose two values are false and true."""
    for name in ("responses", "accuracy", "moments", "guesses", "confusions", "metrics"):
        table = getattr(made.tables, name).copy()
        table["value"] = (table["value"] == table["value"].max()).astype(float)
        setattr(made.tables, name, table)
    change = {"parameter": "feedforward_only", "values": (False, True)}
    config = made.experiment.config.model_copy(update=change)
    made.tables.experiment = NamedExperiment("example", config)
    return made


@pytest.mark.parametrize("name", ["measures", "robustness", "dynamics"])
def test_truths_are_categories(example, run, name):
    drawn = draw(name, as_truths(example([run()], values=(0.2, 1.0), n_images=4)))
    panel = panels(drawn.figure)[2 if name == "dynamics" else 0]
    assert [text.get_text() for text in panel.get_xticklabels()] == ["no", "yes"]
    of_data = [line for line in panel.lines if line.get_marker() not in ("None", "")]
    assert of_data and all(line.get_linestyle() == "None" for line in of_data)


def test_truths_are_said_in_words(example, run):
    made = as_truths(example([run()], values=(0.2, 1.0), n_images=4))
    legend = draw("responses", made).figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["yes", "no"]
    titles = [axes.get_title() for axes in draw("confusion", made).figure.axes if axes.get_title()]
    assert titles == ["feedforward only: no", "feedforward only: yes"]


def test_categories_of_the_model_are_points_without_lines(example, run):
    made = example([run(recurrence_type=kind) for kind in KINDS], n_images=2)
    overview = draw("overview", made).figure
    assert all(line.get_linestyle() == "None" for line in overview.axes[0].lines if line.get_marker() == "o")
    numbers = draw("overview", example([run(tau=tau) for tau in (3.0, 5.0)], n_images=2)).figure
    assert all(line.get_linestyle() == "-" for line in numbers.axes[0].lines if line.get_marker() == "o")


def test_confusions_are_linear_with_numbers(example, run):
    drawn = draw("confusion", example([run()], n_images=30))
    panel = next(axes for axes in drawn.figure.axes if axes.get_title() == "contrast 1")
    assert panel.collections[0].norm(0.5) == 0.5 and panel.collections[0].get_clim() == (0, 1)
    table = drawn.table[(drawn.table["value"] == 1.0) & (drawn.table["mean"] > 0)]
    expected = {(row.guess + 0.5, row.label + 0.5, f"{100 * row.mean:.0f}") for row in table.itertuples()}
    assert {(*text.get_position(), text.get_text()) for text in panel.texts} == expected


def test_a_legend_of_guesses_names_the_most_frequent(example, run):
    table = pd.concat(
        [
            pd.DataFrame({"label": label, "guess": guess, "value": 1.0, "time_ms": [2.0, 4.0], "stimulus_on": True,
                          "mask_on": False, "mean": 1.0 if guess == label else 0.01 * guess})
            for label in range(10)
            for guess in (label, *range(10 + 3 * label, 13 + 3 * label))
        ]
    )  # fmt: skip
    figure = classifier_figure(table, example([run()]).style, [f"name {n}" for n in range(40)])
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["the class shown", *(f"name {n}" for n in range(28, 40)), "one of 18 others"]


def test_focus_layer_comes_first_in_the_legend(example, run):
    made = example([run()], focus_layer="V4")
    legend = draw("measures", made).figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["V4", "V1", "V2", "IT"]


def test_performance_draws_accuracy_and_chance(example, run):
    made = example([run()])
    drawn = draw("performance", made)
    (panel,) = panels(drawn.figure)
    values = sorted(made.experiment.config.values, reverse=True)
    for line, value in zip(curves(panel), values, strict=True):
        rows = drawn.table[drawn.table["value"] == value]
        np.testing.assert_array_equal(line, rows[["time_ms", "mean"]].to_numpy())
    levels = [line.get_ydata() for line in panel.lines if line.get_linestyle() == "--"]
    assert levels == [[0.1, 0.1]]
    assert "chance (10 %)" in drawn.caption


def test_seeds_are_averaged_and_bands_span_them(example, run):
    made = example([run(seed) for seed in (1, 2, 3)])
    drawn = draw("responses", made)
    assert set(drawn.table["condition"]) == {"DyRCNNx4"} and set(drawn.table["n_seeds"]) == {3}
    cell = ["value", "layer", "time_ms"]
    by_hand = made.tables.responses.groupby(cell, observed=True)["mean"]
    shown = drawn.table.set_index(cell).sort_index()
    for column, expected in {"mean": by_hand.mean(), "low": by_hand.min(), "high": by_hand.max()}.items():
        np.testing.assert_allclose(shown[column], expected.sort_index(), rtol=1e-12)
    assert "means over 3 seeds" in drawn.caption and "range over seeds" in drawn.caption
    assert len(panels(drawn.figure)) == 4


def test_training_draws_all_runs(run, style, example):
    configs = [run(seed, recurrence_type=kind) for kind in ("full", "self") for seed in (1, 2)]
    made = example(configs, values=(1.0,), n_images=3)
    parts = []
    for number, config in enumerate(configs):
        table = pd.DataFrame({"epoch": range(4)})
        for split in ("train", "val"):
            table[f"{split}_loss"] = [4.0 - number, 3.0, 2.0, 1.0]
            table[f"{split}_accuracy"] = [0.1, 0.2, 0.3, 0.4 + 0.1 * number]
        parts.append(table.assign(run_id=config.run_id))
    drawn = draw_training_course(pd.concat(parts), made.comparison, style)
    rows = drawn.table.query("condition == 'recurrence: full' and quantity == 'accuracy' and split == 'val'")
    assert rows["mean"].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.45])
    assert rows["high"].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.5])
    loss, accuracy = panels(drawn.figure)
    assert len(curves(loss)) == len(curves(accuracy)) == 4
    drawn_points = {tuple(point) for panel in (loss, accuracy) for line in curves(panel) for point in line}
    assert drawn_points == set(drawn.table[["epoch", "mean"]].itertuples(index=False, name=None))


def test_a_training_of_one_epoch_has_one_tick(run, style, example):
    made = example([run()], values=(1.0,), n_images=3)
    row = {f"{split}_{quantity}": [0.5] for split in ("train", "val") for quantity in ("loss", "accuracy")}
    table = pd.DataFrame({"epoch": [1], "run_id": made.comparison.conditions[0].run_ids[0], **row})
    figure = draw_training_course(table, made.comparison, style).figure
    for panel in panels(figure):
        assert [tick for tick in panel.get_xticks() if 0 < tick < 2] == [1]


def test_a_silent_layer_and_a_single_image_can_be_drawn(example, run):
    made = example([run()], n_images=1)
    made.tables.responses["mean"] = 0.0
    made.tables.metrics.loc[:, ["mean", "ci_low", "ci_high"]] = np.nan
    for name in EXPERIMENT_FIGURES:
        assert panels(draw(name, made).figure)


@pytest.mark.parametrize(
    ("name", "n_runs", "n_layers"),
    [
        (name, *size)
        for name in (*EXPERIMENT_FIGURES, *SWEEP_FIGURES)
        for size in ((1, 2), (6, 8))
        if size[0] > 1 or name in EXPERIMENT_FIGURES
    ],
)
def test_no_text_touches_another(example, run, name, n_runs, n_layers):
    kinds = ("full", "self", "depthpointwise", "pointdepthwise", "local", "localdepthwise")
    layers = [f"layer{number}" for number in range(1, n_layers + 1)]
    configs = [run(recurrence_type=kind) for kind in kinds[:n_runs]]
    made = example(configs, "duration_ms", values=(4.0, 16.0, 48.0), layers=layers, n_images=3)
    with made.style.context():
        figure = draw(name, made).figure
        figure.draw_without_rendering()
        texts = {id(text): text for text in figure.findobj(Text) if text.get_text()}.values()
        boxes = [
            (text.get_text(), text.get_window_extent().padded(-0.5))
            for text in texts
            if text.get_visible() and text.get_window_extent().width > 0 and is_drawn(text, figure)
        ]
    assert len(boxes) > 5
    for number, (first, box) in enumerate(boxes):
        for second, other in boxes[number + 1 :]:
            assert not box.overlaps(other), f"{first!r} touches {second!r}"


def is_drawn(text, figure):
    """Whether a text is not a tick label that is outside its axis or switched off."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if text in (tick.label1, tick.label2):
                    low, high = sorted(axis.get_view_interval())
                    return axes.axison and text.get_visible() and low <= tick.get_loc() <= high
    return True
