"""What must pass passes, what must fail fails, and parameters come back, through the machinery of experiments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dynvision.analysis import read_responses
from dynvision.analysis.bootstrap import interval_of
from dynvision.analysis.scorecard import SCORECARD_COLUMNS, score_run, scorecard_text
from dynvision.config.workflow import load_workflow_config
from dynvision.errors import InputError
from dynvision.experiments.batches import Batch
from dynvision.experiments.tables import ExperimentWriter, TrialRecord
from dynvision.experiments.trial import run_trials
from dynvision.trials.presentation import experiment_trial
from tests.scorecard.delayed_normalization_tables import HUMAN, PROTOCOLS, response_table
from tests.scorecard.networks import DelayedNormalizationNetwork, FeedforwardChain

WORKFLOW = load_workflow_config(Path(__file__).parents[2] / "config")
EXPERIMENTS = {name: WORKFLOW.scorecard_experiments()[f"{name}_ecog"] for name in PROTOCOLS}
HUMAN_AREAS = {"V1": ["V1", "V1-V3"], "V4": ["VOTC"], "IT": ["LOTC"]}
OF_ONE_LAYER = (
    "latency_falls_with_contrast",
    "response_grows_with_contrast",
    "response_is_transient",
    "summation_is_subadditive",
    "recovery_rises_with_gap",
)


def shown(model, folder, names=EXPERIMENTS) -> dict[str, pd.DataFrame]:
    """What a network does in the experiments as shipped, by protocol, through the tables on disk."""
    tables = {}
    images = torch.stack([torch.full((1, 2, 2), level, dtype=torch.float64) for level in (0.95, 1.05)])
    batch = Batch(images, torch.tensor([0, 0]), np.array([3, 8]))
    for name in names:
        experiment, paths = EXPERIMENTS[name], [folder / f"{name}_{part}.parquet" for part in ("r", "p", "u")]
        fixed = {"run_id": "network", "experiment": name, "parameter": experiment.parameter}
        cases = [experiment_trial(experiment, value, model.dt) for value in experiment.values]
        with ExperimentWriter(*paths, fixed, {}) as results:
            kept = [TrialRecord(*shown) for shown in run_trials(model, batch.images, cases)]
            results.append(lambda kept=kept: kept, batch, np.array(cases[0].times_ms))
        tables[name] = read_responses(paths[0])
    return tables


def signs(card: pd.DataFrame) -> dict[tuple[str, str], str]:
    of_signs = card[card["kind"] == "sign"]
    return dict(zip(zip(of_signs["name"], of_signs["layer"], strict=True), of_signs["verdict"], strict=True))


@pytest.fixture(scope="module")
def cortex() -> pd.DataFrame:
    return score_run({name: response_table(name, HUMAN) for name in PROTOCOLS}, HUMAN_AREAS)


@pytest.fixture(scope="module")
def feedforward(tmp_path_factory) -> pd.DataFrame:
    return score_run(shown(FeedforwardChain(), tmp_path_factory.mktemp("feedforward")), HUMAN_AREAS)


def test_delayed_normalization_with_human_parameters_passes_the_sign_tests(cortex):
    verdicts = signs(cortex)
    hierarchy = "V1 < V4 < IT"
    for layer in HUMAN:
        for test in OF_ONE_LAYER:
            assert verdicts[test, layer] == "yes", (test, layer)
    for test in (
        "latency_grows_along_hierarchy",
        "width_grows_along_hierarchy",
        "time_constants_grow_along_hierarchy",
        "recovery_falls_along_hierarchy",
    ):
        assert verdicts[test, hierarchy] == "yes", test
    failed = {test for (test, _), verdict in verdicts.items() if verdict != "yes"}
    assert failed == {"contrast_matters_less_along_hierarchy", "subadditivity_grows_along_hierarchy"}


def of_two_layers(values, first, second) -> pd.DataFrame:
    """Responses (V, T) of two layers from 1 ms to 1000 ms, to a stimulus that lasts as long."""
    time, layers = np.arange(1.0, 1001), ("V1", "IT")
    parts = [
        pd.DataFrame({"value": value, "image": image, "layer": layer, "time_ms": time, "mean": course})
        for layer, courses in zip(layers, (first, second), strict=True)
        for value, course in zip(values, courses, strict=True)
        for image in (0, 1)
    ]
    table = pd.concat(parts, ignore_index=True).assign(run_id="made", experiment="made", parameter="made")
    return table.assign(stimulus_on=True, layer=pd.Categorical(table["layer"], layers))


def statistics(protocol: str, values, first, second) -> pd.Series:
    card = score_run({protocol: of_two_layers(values, first, second)}, {"V1": ["V1"], "IT": ["IT"]})
    return card[card["kind"] == "sign"].set_index("name")["model"]


def test_the_layer_whose_response_to_fast_flicker_is_weaker_has_to_be_the_later_one():
    frequencies, time = (2.0, 10.0), np.arange(1.0, 1001) / 1000
    waves = np.stack([np.sin(2 * np.pi * frequency * time) for frequency in frequencies])
    fading = waves * [[1.0], [0.5]]
    name = "fast_flicker_fades_along_hierarchy"
    assert statistics("flicker", frequencies, waves, fading)[name] == 1
    assert statistics("flicker", frequencies, fading, waves)[name] == -1
    assert statistics("flicker", frequencies, waves, waves)[name] == 0


def test_the_layer_whose_response_lasts_as_long_as_the_stimulus_has_to_be_the_first():
    """Trapezoids of 100 ms slopes are as wide at half height as from the middle of one slope to that of the other."""
    durations, time = (300.0, 500.0, 700.0), np.arange(1.0, 1001)
    as_long = np.stack([np.interp(time, [0, 100, d, d + 100], [0, 1, 1, 0]) for d in durations])
    alike = np.stack([as_long[0]] * 3)
    forth, back = (statistics("long", durations, *pair) for pair in ((as_long, alike), (alike, as_long)))
    assert forth["width_follows_duration"] == pytest.approx(1) and back["width_follows_duration"] == 0
    assert forth["width_follows_duration_less_along_hierarchy"] == 1
    assert back["width_follows_duration_less_along_hierarchy"] == -1


def test_the_parameters_of_cortex_are_at_no_distance_from_cortex(cortex):
    fits = cortex[cortex["name"].str.startswith("dn_")]
    assert len(fits) == 4 * 3
    np.testing.assert_allclose(fits["model"], fits["cortex"], rtol=1e-3)
    assert fits["distance"].max() < 1e-3


def test_a_network_of_the_component_returns_its_parameters_and_passes(tmp_path):
    human = HUMAN["V1"]
    model = DelayedNormalizationNetwork(human.tau1_ms, human.tau2_ms, 1.5, human.sigma)
    card = score_run(shown(model, tmp_path), {"V1": ["V1", "V1-V3"]})
    fits = card[card["name"].str.startswith("dn_")].set_index("name")["model"]
    assert fits["dn_tau1_ms"] == pytest.approx(17, rel=5e-3)
    assert fits["dn_tau2_ms"] == pytest.approx(132, rel=5e-3)
    assert fits["dn_n"] == pytest.approx(1.5, rel=5e-3)
    assert fits["dn_sigma"] == pytest.approx(0.32, rel=2e-2)  # the two images have contrasts .95 and 1.05
    verdicts = signs(card)
    for test in OF_ONE_LAYER:
        assert verdicts[test, "V1"] == "yes", test


def test_a_feedforward_chain_fails_what_it_must_fail(feedforward):
    verdicts = signs(feedforward)
    failed = {test for (test, _), verdict in verdicts.items() if verdict == "no"}
    fits = "time_constants_grow_along_hierarchy"  # of a network that does not adapt there are none
    assert {test for test, _ in verdicts} - failed == {"response_grows_with_contrast", fits}
    assert verdicts[fits, "V1 < V4 < IT"] == "not measured"
    reasons = feedforward.loc[feedforward["name"].str.startswith("dn_"), "reason"]
    assert reasons.str.contains("ended on its").all() and "V1 has no DN" in scorecard_text(feedforward)
    for layer in HUMAN:
        assert verdicts["response_grows_with_contrast", layer] == "yes"
        for test in ("latency_falls_with_contrast", "summation_is_subadditive", "recovery_rises_with_gap"):
            assert verdicts[test, layer] == "no", (test, layer)


def test_numbers_of_a_feedforward_chain_are_known(feedforward):
    numbers = feedforward[feedforward["kind"] == "number"].set_index(["name", "layer", "area", "value"])[
        "model"
    ]
    np.testing.assert_allclose(numbers["recovery"], 1)
    np.testing.assert_allclose(numbers["r_double"], 1)
    assert numbers["sustained_ratio", "V1", "V1", 1.0] == 1
    assert (numbers["onset_latency_ms"] == 1).all()  # the first sample, at dt
    assert numbers["time_to_peak_ms"].isna().all()  # a plateau from the first sample on has no peak
    summed = numbers["summed_normalized"].xs(("V1", "V1"))
    np.testing.assert_allclose(summed[[17.0, 533.0]], [17 / 533, 1])
    assert numbers["summation_exponent"].iloc[0] == pytest.approx(1)


def test_a_number_without_a_value_has_no_interval(feedforward):
    absent = feedforward[(feedforward["kind"] == "number") & feedforward["model"].isna()]
    assert len(absent) and absent[["ci_low", "ci_high", "distance"]].isna().all(axis=None)
    assert np.isnan(interval_of(np.array([np.nan, *[3.0] * 50]))).all()
    assert np.isnan(interval_of(np.array([3.0, *[3.0] * 40, *[np.nan] * 10]))).all()
    assert interval_of(np.array([3.0, *[3.0] * 50])) == (3.0, 3.0)


def test_columns_and_distances_by_hand(cortex):
    assert tuple(cortex) == SCORECARD_COLUMNS
    times = cortex[(cortex["name"] == "time_to_peak_ms") & (cortex["protocol"] == "contrast")]
    assert times["model"].notna().all()  # delayed normalisation peaks and adapts
    np.testing.assert_allclose(times["distance"], np.abs(np.log2(times["model"] / times["cortex"])))
    assert set(times["distance_in"]) == {"log2"}
    recovered = cortex[cortex["name"] == "recovery"]
    np.testing.assert_allclose(recovered["distance"], np.abs(recovered["model"] - recovered["cortex"]))
    assert (recovered["value"] == recovered["shown"]).all()
    assert (cortex.loc[cortex["kind"] == "number", "source"] != "").all()
    assert set(cortex.loc[cortex["kind"] == "sign", "verdict"]) <= {"yes", "no", "unclear"}


def test_text_tells_signs_before_numbers(cortex):
    text = scorecard_text(cortex)
    assert text.index("Is summation subadditive?") < text.index("Numbers") < text.index("recovery (fraction)")
    line = next(line for line in text.splitlines() if line.startswith("recovery") and "interval 533" in line)
    assert line.split()[-1] != "-"
    known = next(
        line
        for line in text.splitlines()
        if line.startswith("Is summation subadditive?  ") and "V1-V3" in line
    )
    assert known.split()[-3:] == ["[0.23,", "0.43]", "D"]
    assert "After correction for" in text
    assert "R: read off a published figure" in text


def test_one_image_has_no_interval_and_still_an_answer():
    tables = {"duration": response_table("duration", {"V1": HUMAN["V1"]}, n_images=1)}
    card = score_run(tables, {"V1": ["V1"]})
    assert set(card["protocol"]) == {"duration"}
    assert card["ci_low"].isna().all()
    assert signs(card)["summation_is_subadditive", "V1"] == "yes"


def test_what_cannot_be_scored_is_said():
    tables = {"duration": response_table("duration", {"V1": HUMAN["V1"]}, n_images=1)}
    with pytest.raises(
        InputError, match="none of the layers V1 has an area; add the model to scorecard.models"
    ):
        score_run(tables, {"layer9": ["V1"]})
    with pytest.raises(InputError, match="unknown area 'V1V3'.*did you mean 'V1-V3'"):
        score_run(tables, {"V1": ["V1V3"]})
    with pytest.raises(InputError, match="of one run"):
        score_run({**tables, "interval": tables["duration"].assign(run_id="other")}, {"V1": ["V1"]})
