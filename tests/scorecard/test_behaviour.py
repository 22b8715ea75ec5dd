"""Phenomena of behaviour on made races, the correction for the number of questions, bands, and what is not asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import skew

from dynvision.analysis.scorecard import PHENOMENA, phenomenon, read_targets, score_run, scorecard_text
from dynvision.analysis.scorecard.behaviour import ACCURACY_MS, SPEED_MS
from dynvision.analysis.scorecard.phenomena import Target, corrected, p_of
from dynvision.analysis.scorecard.text import within_band
from dynvision.config.measures import PROTOCOLS as KNOWN
from dynvision.config.workflow import load_workflow_config
from dynvision.errors import InputError
from dynvision.experiments.outcomes import outcomes
from dynvision.visualization.scorecard import scorecard_figure
from dynvision.visualization.style import Style
from tests.analysis.race_tables import guesses, raced
from tests.scorecard.delayed_normalization_tables import HUMAN, PROTOCOLS, response_table

TIME = np.arange(-1, 301) * 2.0  # to 600 ms
# Probability of the label; the other class has the rest. Hard images are decided later, and five of them wrongly.
HARD = np.array([0.9, 0.8, 0.8, 0.7, 0.7, 0.6, 0.55, *[0.45] * 4, 0.4])
EASY = np.array([*[0.95] * 6, 0.9, 0.8, *[0.45] * 5])[:12]


def decision(hard: np.ndarray, easy: np.ndarray) -> pd.DataFrame:
    """The table of one run at two signal fractions."""
    parts = [
        guesses(raced(np.stack([p, 1 - p], axis=1), [0] * len(p), TIME), TIME, value)
        for value, p in ((0.2, hard), (0.3, easy))
    ]
    return pd.concat(parts, ignore_index=True)


def ms(p: np.ndarray, bound: float) -> np.ndarray:
    """When a race is decided, on a grid of 2 ms."""
    return np.ceil(bound / np.maximum(p, 1 - p) / 2 - 1e-6) * 2


def signs(card: pd.DataFrame) -> pd.DataFrame:
    return card[card["kind"] == "sign"].set_index("name")


def test_the_signatures_of_decisions_are_those_of_the_races():
    asked = signs(score_run({}, {}, performance={"decision": decision(HARD, EASY)}))
    times = {"hard": ms(HARD, ACCURACY_MS), "easy": ms(EASY, ACCURACY_MS)}
    model = asked["model"]
    assert model["hard_images_take_longer"] == pytest.approx(times["hard"].mean() - times["easy"].mean())
    assert model["hard_images_cost_accuracy"] == pytest.approx((EASY > 0.5).mean() - (HARD > 0.5).mean())
    expected = np.mean([skew(one) for one in times.values()])
    assert model["times_are_skewed_to_the_right"] == pytest.approx(expected)
    slower = [
        of_value[p < 0.5].mean() - of_value[p > 0.5].mean()
        for p, of_value in ((HARD, times["hard"]), (EASY, times["easy"]))
        if (p < 0.5).sum() >= 5
    ]
    assert len(slower) == 1 and model["errors_are_slower"] == pytest.approx(slower[0])
    lead = 1 - (1 - np.maximum(HARD, 1 - HARD)) / np.maximum(HARD, 1 - HARD)
    less = lead[HARD > 0.5].mean() - lead[HARD < 0.5].mean()
    assert model["errors_are_less_confident"] == pytest.approx(less, rel=1e-5)
    assert (
        model["speed_costs_accuracy"] == 0 and asked["verdict"]["speed_costs_accuracy"] == "no"
    )  # p is constant
    assert (asked["layer"] == "classifier").all()


def test_speed_costs_accuracy_where_evidence_comes_late():
    """Class 1 leads for 60 ms, then the label is certain: wrong at the low bound, right at the high one."""
    n = int((TIME <= 60).sum())
    p = np.where((np.arange(len(TIME)) < n)[None, :, None], [0.4, 0.6], [1 - 1e-9, 1e-9])
    made = outcomes(
        torch.log(torch.tensor(p)).expand(8, -1, -1), torch.zeros(8, dtype=torch.int64), list(TIME)
    )
    columns = {
        **{name: values[None] for name, values in made.items()},
        "label": np.zeros((1, 8, len(TIME)), int),
    }
    table = guesses(columns, TIME, 0.2)
    asked = signs(score_run({}, {}, performance={"decision": table}))
    assert SPEED_MS < 0.6 * 60 < ACCURACY_MS
    assert asked["model"]["speed_costs_accuracy"] == 1 and asked["verdict"]["speed_costs_accuracy"] == "yes"
    assert asked["model"]["accuracy_grows_with_read_out_time"] == 1


def test_a_network_that_is_certain_at_once_has_no_signature():
    sure = np.full(12, 1 - 1e-9)
    asked = signs(score_run({}, {}, performance={"decision": decision(sure, sure)}))
    verdicts = asked["verdict"].to_dict()
    no = ("hard_images_cost_accuracy", "hard_images_take_longer", "speed_costs_accuracy")
    assert {verdicts[name] for name in no} == {"no"}
    unknown = ("errors_are_slower", "errors_are_less_confident", "times_are_skewed_to_the_right")
    assert {verdicts[name] for name in unknown} == {"not measured"}


def test_one_level_of_noise_and_one_image_leave_what_cannot_be_asked_unmeasured():
    one = decision(HARD, EASY).query("value == 0.2")
    verdicts = signs(score_run({}, {}, performance={"decision": one}))["verdict"]
    assert {verdicts[name] for name in ("hard_images_cost_accuracy", "hard_images_take_longer")} == {
        "not measured"
    }
    card = score_run({}, {}, performance={"decision": one.query("image == 0")})
    assert card["ci_low"].isna().all() and card["q"].isna().all()
    assert signs(card)["verdict"]["errors_are_slower"] == "not measured"


@pytest.mark.parametrize(
    ("protocol", "keep", "name"),
    [
        ("interval", "value == 0", "second_response_is_reduced"),
        ("duration", "value == 533", "width_follows_duration"),
    ],
)
def test_one_condition_has_no_slope_and_no_gap(protocol, keep, name):
    table = response_table(protocol, HUMAN, n_images=2).query(keep)
    shown = {"long" if name.startswith("width") else protocol: table}
    assert set(signs(score_run(shown, {"V1": ["V1"], "IT": ["LOTC"]})).loc[[name], "verdict"]) == {
        "not measured"
    }


def test_decisions_on_one_image_differ_between_repetitions():
    """Of four images, one is decided otherwise in one of three repetitions: 2 of its 3 pairs differ."""
    parts = []
    for seed in range(3):
        p = np.array([0.9, 0.9, 0.9, 0.1 if seed == 2 else 0.9])
        columns = raced(np.stack([p, 1 - p], axis=1), [0] * 4, TIME)
        parts.append(guesses(columns, TIME, seed, "seed"))
    asked = signs(score_run({}, {}, performance={"repeats": pd.concat(parts, ignore_index=True)}))
    assert asked["model"]["decisions_are_stochastic"] == pytest.approx(2 / 3 / 4)


def at_values(p: dict[float, np.ndarray]) -> pd.Series:
    """Statistics of the protocols in which one thing varies, of images whose label has a constant probability."""
    parts = [
        guesses(raced(np.stack([of_value, 1 - of_value], axis=1), [0] * len(of_value), TIME), TIME, value)
        for value, of_value in p.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    return signs(score_run({}, {}, performance=dict.fromkeys(("rsvp", "masking", "occlusion"), table)))[
        "model"
    ]


def test_short_images_early_masks_and_occlusion_cost_accuracy_and_not_the_other_way_round():
    """Of ten images 2, 6 and 10 are decided right, equally fast: more time is as in people, more occlusion is not."""
    p = {value: np.repeat([0.9, 0.1], [n, 10 - n]) for value, n in ((0.1, 2), (0.5, 6), (0.9, 10))}
    rising, falling = at_values(p), at_values({1 - value: of_value for value, of_value in p.items()})
    for name, sign in (("rsvp_needs_time", 1), ("masks_cost_accuracy", 1), ("occlusion_costs_accuracy", -1)):
        assert rising[name] == sign and falling[name] == -sign, name
    assert rising["occlusion_costs_time"] == 0


def test_occlusion_costs_time_where_less_certain_races_are_longer():
    p = {value: np.full(4, of_label) for value, of_label in ((0.0, 0.95), (0.4, 0.8), (0.8, 0.6))}
    assert np.diff([ms(of_value, SPEED_MS)[0] for of_value in p.values()]).tolist() == [4, 8]
    assert at_values(p)["occlusion_costs_time"] == 1
    assert at_values({1 - value: of_value for value, of_value in p.items()})["occlusion_costs_time"] == -1


def test_accuracy_of_people_stands_beside_that_of_the_network():
    parts = [
        guesses(raced(np.array([[0.9, 0.1]] * n + [[0.1, 0.9]] * (10 - n)), [0] * 10, TIME), TIME, value)
        for value, n in ((0.1, 2), (0.25, 6), (0.5, 10))
    ]
    card = score_run({}, {}, performance={"noise": pd.concat(parts, ignore_index=True)})
    people = card[card["kind"] == "number"].set_index("value")
    assert people["model"].to_dict() == pytest.approx({0.1: 0.2, 0.25: 0.6, 0.5: 1.0})
    assert people["cortex"].to_dict() == {0.1: 0.12, 0.25: 0.5, 0.5: 0.85}
    assert set(people["area"]) == {"human observers"} and set(people["layer"]) == {"classifier"}
    assert signs(card)["model"]["accuracy_falls_with_noise"] == 1
    text = scorecard_text(card)
    assert "Behaviour: 1 of 1 as in people" in text and "peak accuracy (fraction)" in text


def test_guesses_of_before_are_refused_by_name():
    table = decision(HARD, EASY).drop(columns="evidence_ms")
    with pytest.raises(InputError, match="lack the columns evidence_ms; run the experiment again"):
        score_run({}, {}, performance={"decision": table})


def target(area: str, measure: str) -> pd.DataFrame:
    """The table of one target in the protocol of noise."""
    texts = {"area": area, "protocol": "noise", "measure": measure, "unit": "ms", "provenance": "R"}
    numbers = {"value": np.nan, "target": 300.0, "low": 250.0, "high": 350.0}
    return pd.DataFrame([{**texts, "source": "me (2026)", "note": "", **numbers}])


def test_people_can_be_compared_in_every_measure_of_guesses():
    """Without evidence for any class the uncertainty is 1 all the time, 600 ms: one octave above 300."""
    table = decision(HARD, EASY).query("value == 0.2").assign(uncertainty=1.0)
    people = target("human observers", "reaction_time_uncertainty_ms").assign(value=0.2)
    card = score_run({}, {}, people, {"noise": table})
    number = card[card["kind"] == "number"].iloc[0]
    assert (number["model"], number["distance"]) == (pytest.approx(600), pytest.approx(1))
    with pytest.raises(InputError, match="lack the columns uncertainty; run the experiment again"):
        score_run({}, {}, people, {"noise": table.drop(columns="uncertainty")})


@pytest.mark.parametrize("protocol", KNOWN)
def test_a_measure_of_people_at_several_values_is_drawn_in_every_protocol(protocol):
    people = target("human observers", "accuracy_peak").assign(protocol=protocol, unit="fraction", target=0.5)
    people = pd.concat([people.assign(value=value, low=0.4, high=0.6) for value in (0.2, 0.3)])
    card = score_run({}, {}, people, {protocol: decision(HARD, EASY)})
    assert (card["kind"] == "number").sum() == 2
    (axes,) = [one for one in scorecard_figure(card, Style()).axes if "accuracy" in one.get_ylabel()]
    assert axes.get_xlabel()


@pytest.mark.parametrize(
    ("area", "measure"), [("human observers", "rise_time_ms"), ("V1", "reaction_time_confidence_ms")]
)
def test_a_target_whose_measure_is_of_something_else_is_refused(area, measure):
    with pytest.raises(InputError, match=f"the target {measure} of {area} is a measure of"):
        score_run({}, {}, target(area, measure), {"noise": decision(HARD, EASY)})


def test_p_is_the_share_of_resamples_that_are_not_above_zero_and_q_is_corrected():
    assert p_of(np.array([1.0, *[1.0] * 95, *[-1.0] * 3, 0.0])) == pytest.approx(5 / 100)
    assert np.isnan(p_of(np.array([1.0]))) and np.isnan(p_of(np.array([np.nan, 1.0])))
    p = np.array([0.04, np.nan, 0.001, 0.02, 0.5])
    np.testing.assert_allclose(corrected(p), [0.04 * 4 / 3, np.nan, 0.004, 0.04, 0.5])  # p m / rank of m = 4
    assert np.isnan(corrected(np.array([np.nan]))).all()


def test_every_target_has_a_band_around_it(tmp_path):
    targets = read_targets().dropna(subset=["target"])
    assert ((targets["low"] < targets["target"]) & (targets["target"] < targets["high"])).all()
    head = "area,protocol,measure,value,unit,target,provenance,source,note"
    rows = ["V1,duration,fwhm_ms,17,ms,100,published,me,", "V1,interval,recovery,17,fraction,.5,R,me,"]
    (tmp_path / "mine.csv").write_text("\n".join([head, *rows, "V1,contrast,c50,,contrast,.3,M,me,"]) + "\n")
    made = read_targets(tmp_path)
    np.testing.assert_allclose(made["high"], [115, 0.61, 0.3 * 1.15**2])
    np.testing.assert_allclose(made["low"], [100 / 1.15, 0.39, 0.3 / 1.15**2])
    (tmp_path / "mine.csv").write_text(f"{head},low,high\n{rows[0]},90,130\n")
    assert read_targets(tmp_path)[["low", "high"]].to_numpy().tolist() == [[90, 130]]


def test_a_number_is_within_the_band_where_its_interval_reaches_it():
    rows = pd.DataFrame({"model": [1.0, 1.0, 1.0, np.nan], "ci_low": [0.9, 0.9, np.nan, np.nan]})
    rows = rows.assign(
        ci_high=[1.1, 1.1, np.nan, np.nan], cortex_low=[1.05, 1.2, 0.9, 0.9], cortex_high=[1.5, 1.5, 1.1, 1.1]
    )
    assert within_band(rows).tolist() == [True, False, True, False]


def test_a_target_stands_beside_layers_of_its_area_alone():
    tables = {"duration": response_table("duration", {"V1": HUMAN["V1"], "IT": HUMAN["IT"]}, n_images=2)}
    card = score_run(tables, {"V1": ["V1", "V1-V3"], "IT": ["LOTC"]})
    asked = card[card["name"] == "summation_is_subadditive"].set_index("layer")
    assert asked["cortex"]["V1"] == 0.33 and asked["area"]["V1"] == "V1-V3"
    assert np.isnan(asked["cortex"]["IT"]) and asked["area"]["IT"] == ""
    assert asked["distance"]["V1"] == pytest.approx(abs(asked["model"]["V1"] - 0.33))


def test_recovery_along_the_hierarchy_is_asked_of_natural_images_alone():
    tables = {"interval": response_table("interval", HUMAN, n_images=2)}
    areas = {"V1": ["V1"], "V4": ["VOTC"], "IT": ["LOTC"]}
    natural, digits = (score_run(tables, areas, natural_images=given) for given in (True, False))
    assert "recovery_falls_along_hierarchy" in set(natural["name"])
    assert "recovery_falls_along_hierarchy" not in set(digits["name"])
    said = "Not asked, since it is known of natural images alone: Do later layers recover less from a first pulse?"
    assert said in scorecard_text(digits) and "Not asked" not in scorecard_text(natural)


def test_twenty_phenomena_have_sources_and_eight_are_of_behaviour():
    shipped = load_workflow_config(Path(__file__).parents[2] / "config").scorecard.experiments
    assert len(PHENOMENA) >= 20
    assert sum(one.of == "behaviour" for one in PHENOMENA.values()) >= 8
    for one in PHENOMENA.values():
        assert (
            one.question.endswith("?")
            and one.protocol in shipped
            and any(char.isdigit() for char in one.source)
        )
    assert set(shipped) == set(KNOWN) and set(PROTOCOLS) < set(KNOWN)


def test_a_phenomenon_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="unknown protocol 'contrst'.*did you mean 'contrast'"):
        phenomenon("mine", "Is it?", "contrst", "layer", "me (2026)")
    with pytest.raises(InputError, match="the band from 1 to 2 does not hold 3"):
        phenomenon("mine", "Is it?", "contrast", "layer", "me (2026)", Target(3, 1, 2, "M", "V1"))
    with pytest.raises(InputError, match="summation_is_subadditive.*taken"):
        phenomenon("summation_is_subadditive", "Is it?", "contrast", "layer", "me (2026)")(lambda p, layer: 0)


def table() -> str:
    """The table of docs/scorecard.md."""
    rows = ["| question | protocol | of | statistic | known | source |", "|---|---|---|---|---|---|"]
    for one in sorted(PHENOMENA.values(), key=lambda phenomenon: phenomenon.of == "behaviour"):
        what = str(one.statistic.__doc__).strip().split("\n")[0].rstrip(".")
        known = (
            "" if one.target is None else f"{one.target.value:g} [{one.target.low:g}, {one.target.high:g}]"
        )
        known += " ms" if one.target is not None and one.target.unit == "ms" else ""
        rows.append(f"| {one.question} | {one.protocol} | {one.of} | {what} | {known} | {one.source} |")
    return "\n".join(rows)


def test_the_page_lists_every_phenomenon():
    page = (Path(__file__).parents[2] / "docs" / "scorecard.md").read_text()
    assert table() in page, f"put this table into docs/scorecard.md:\n\n{table()}"
