"""Sweeps stay readable: how conditions stand together, and what each parameter does."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from dynvision.analysis import group_runs
from dynvision.analysis.conditions import comparable, find_base
from dynvision.config.visualization import FIGURES
from dynvision.errors import InputError
from dynvision.visualization.names import compare
from dynvision.visualization.style import condition_colours

KINDS = ("self", "none", "local", "depthpointwise")


@pytest.fixture(scope="module")
def star(run):
    """Runs that vary recurrence, tau and delay one at a time around a base."""
    changes = [{}] + [{"recurrence_type": kind} for kind in KINDS] + [{"tau": tau} for tau in (3.0, 9.0)]
    return [run(**change) for change in [*changes, {"t_recurrence": 2.0}]]


def test_the_base_is_what_all_others_differ_from_in_one_parameter():
    base = {"tau": 5.0, "kind": "full"}
    star = [{"tau": 3.0, "kind": "full"}, base, {"tau": 5.0, "kind": "self"}, {"tau": 9.0, "kind": "full"}]
    assert find_base(star) == 1
    assert comparable(star, "tau") == [0, 1, 3] and comparable(star, "kind") == [1, 2]
    product = [{"tau": tau, "kind": kind} for tau in (3.0, 5.0) for kind in ("full", "self")]
    assert find_base(product) is None and comparable(product, "tau") == [0, 1, 2, 3]
    assert find_base([{"tau": tau} for tau in (1.0, 2.0, 3.0)]) is None  # each of them would be one
    assert find_base([]) is None and find_base([{}]) is None


def test_a_large_sweep_stands_in_a_row_for_each_parameter(star, style):
    comparison = compare(group_runs(star), style)
    rows = [list(row.titles.values()) for row in comparison.rows]
    assert rows == [
        ["τ = 3 ms", "τ = 5 ms", "τ = 9 ms"],
        [
            "recurrence: none",
            "recurrence: self",
            "recurrence: full",
            "recurrence: depth-pointwise",
            "recurrence: local",
        ],
        ["recurrence delay = 2 ms", "recurrence delay = 6 ms"],
    ]
    base = comparison.labels[comparison.base]
    assert base == "τ = 5 ms, recurrence: full, recurrence delay = 6 ms"
    assert all(base in row.titles for row in comparison.rows)
    assert set(comparison.labels) == {label for row in comparison.rows for label in row.titles}
    assert "τ = 3 ms" in comparison.labels  # the others are named by what differs from the base


def test_a_large_product_stands_in_a_row_for_each_value_of_its_first_parameter(run, style):
    product = [
        run(tau=tau, recurrence_type=kind) for tau in (3.0, 5.0, 9.0) for kind in ("self", "none", "full")
    ]
    comparison = compare(group_runs(product), style)
    assert comparison.base is None
    assert [row.heading for row in comparison.rows] == ["τ = 3 ms", "τ = 5 ms", "τ = 9 ms"]
    for row in comparison.rows:
        assert list(row.titles.values()) == ["recurrence: none", "recurrence: self", "recurrence: full"]


def test_a_rule_along_the_hierarchy_is_a_level_beside_one_value(run, style):
    taus = [{}, {"tau": {"first": 5.0, "last": 20.0}}, {"tau": {"V1": 8.0, "IT": 30.0}}]
    comparison = compare(group_runs([run(**changes) for changes in taus]), style)
    assert set(comparison.labels) == {"τ = 5 ms", "τ: 5 to 20", "τ: V1 8, IT 30"}
    assert len(set(condition_colours(comparison, style, comparison.rows[0]).values())) == 3


def test_a_small_sweep_stands_in_one_row(run, style):
    comparison = compare(group_runs([run(), run(tau=9.0), run(recurrence_type="self")]), style)
    (row,) = comparison.rows
    assert row.titles == comparison.titles and row.heading == ""


def test_colours_within_a_row_are_those_of_its_own_parameter(star, style):
    comparison = compare(group_runs(star), style)
    taus = condition_colours(comparison, style, comparison.rows[0])
    assert list(taus.values()) == list(style.graded([3.0, 5.0, 9.0]).values())
    assert condition_colours(comparison, style, comparison.rows[1])["recurrence: none"] == "#767676"


def test_overview_shows_each_parameter_alone(example, star):
    made = example(star, n_images=4)
    drawn = FIGURES["overview"](made.tables, made.comparison, made.style)
    table, metrics = drawn.table, made.tables.metrics
    levels = table.groupby("factor", sort=False)["level"].unique()
    assert list(levels.index) == ["model.args.tau", "model.args.recurrence_type", "model.args.t_recurrence"]
    assert list(levels.iloc[0]) == ["3", "5", "9"] and list(levels.iloc[2]) == ["2", "6"]
    assert table.loc[table["is_base"], "level"].unique().tolist() == ["5", "full", "6"]
    by_tau = {config.model.args["tau"]: config.run_id for config in star if config.model.args["recurrence_type"] == "full"
              and config.model.args["t_recurrence"] == 6.0}  # fmt: skip
    for row in table[table["factor"] == "model.args.tau"].itertuples():
        of_run = metrics[(metrics["run_id"] == by_tau[row.number]) & (metrics["value"] == row.value)]
        (expected,) = of_run[(of_run["layer"] == row.layer) & (of_run["measure"] == row.measure)]["mean"]
        assert row.mean == pytest.approx(expected, nan_ok=True)
    panels = [axes for axes in drawn.figure.axes if axes.axison]
    points = {
        tuple(point)
        for axes in panels
        for line in axes.lines
        for point in line.get_xydata()
        if line.get_marker() != "None"
    }
    assert points == set(table[["number", "mean"]].itertuples(index=False, name=None))
    assert len(panels) == 3 * table["measure"].nunique()


def test_overview_of_a_single_condition_is_refused(example, run):
    """Two seeds are one condition, which has nothing to be compared with."""
    one = example([run(), run(seed=2)])
    with pytest.raises(InputError, match="overview compares conditions, and the runs of example are of one"):
        FIGURES["overview"](one.tables, one.comparison, one.style)


def test_overview_of_a_product_averages_over_the_other_parameters(example, run):
    product = [run(tau=tau, recurrence_type=kind) for tau in (3.0, 9.0) for kind in ("self", "none")]
    made = example(product, n_images=4)
    drawn = FIGURES["overview"](made.tables, made.comparison, made.style)
    metrics = made.tables.metrics
    rows = drawn.table.query("factor == 'model.args.tau' and number == 9 and measure == 'peak'")
    for row in rows.itertuples():
        where = (
            (metrics["measure"] == "peak") & (metrics["layer"] == row.layer) & (metrics["value"] == row.value)
        )
        values = metrics[where & metrics["run_id"].isin([config.run_id for config in product[2:]])]["mean"]
        assert (row.mean, row.low, row.high) == pytest.approx((values.mean(), values.min(), values.max()))
    assert "means over the other parameters" in drawn.caption


@pytest.mark.parametrize("name", ["responses", "measures", "performance", "overview"])
def test_a_sweep_of_twenty_runs_is_no_wider_than_a_page(example, run, name):
    product = [run(tau=tau, recurrence_type=kind) for tau in (3.0, 5.0, 7.0, 9.0, 11.0) for kind in (*KINDS,)]
    made = example(product, values=(0.2, 1.0), n_images=3)
    drawn = FIGURES[name](made.tables, made.comparison, made.style)
    figure = drawn.figure
    assert figure.get_figwidth() < 11
    if name in ("responses", "performance"):
        assert sum(axes.axison for axes in figure.axes) == 20
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert min(sizes) >= 6
    if name == "responses":  # of one layer, since a hundred panels are no figure
        assert set(drawn.table["layer"]) == {"V1"}


def test_twins_are_dashed(example, run):
    made = example([run()])
    drawn = FIGURES["robustness"](made.tables, made.comparison, made.style)
    styles = {
        line.get_linestyle()
        for axes in drawn.figure.axes
        for line in axes.lines
        if line.get_marker() != "None"
    }
    assert styles == {"-", "--"} and set(drawn.table["network"]) == {"as trained", "feedforward only"}
    assert "without recurrence and feedback" in drawn.caption
    alone = example([run()], twin=False)
    assert "was not run" in FIGURES["robustness"](alone.tables, alone.comparison, alone.style).caption


def test_seeds_that_never_guess_a_class_count_as_zero(example, run):
    made = example([run(1), run(2), run(3)], n_images=20)
    table = FIGURES["classifier"](made.tables, made.comparison, made.style).table
    guesses = made.tables.guesses
    for row in table[table["time_ms"] == 20.0].itertuples():
        where = (
            (guesses["label"] == row.label) & (guesses["guess"] == row.guess) & (guesses["time_ms"] == 20.0)
        )
        assert row.mean == pytest.approx(guesses.loc[where, "mean"].sum() / 3)


def test_confusions_are_drawn_where_they_belong(example, run):
    made = example([run()], n_images=30)
    drawn = FIGURES["confusion"](made.tables, made.comparison, made.style)
    panels = [axes for axes in drawn.figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["contrast 0.1", "contrast 0.6", "contrast 1"]
    mesh = panels[2].collections[0].get_array()
    table = (
        drawn.table[drawn.table["value"] == 1.0]
        .pivot(index="label", columns="guess", values="mean")
        .to_numpy()
    )
    np.testing.assert_array_equal(mesh, table)
    assert drawn.table.groupby(["value", "label"])["mean"].sum().to_numpy() == pytest.approx(1.0)
    assert isinstance(drawn.table, pd.DataFrame)
