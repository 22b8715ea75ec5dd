"""Comparisons with recordings as a step of the workflow: planned, made, reported, and made again when they are another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dynvision.errors import InputError
from dynvision.recordings import open_responses
from dynvision.runs import plan_workflow
from tests.workflow.conftest import REPOSITORY, Workflow, copy_workflow

UNITS = {"contrast": {"save_responses": "unit", "values": [1.0], "measures": ["peak"]}}
ASKED = {
    "model_args": "{rctype: full, n_timesteps: 3, trc: 2}",
    "experiment": "contrast",
    "experiments": "{contrast: {save_responses: unit, values: [1.0], recorded_ms: 40, measures: [peak]}}",
}


def plan(**values: object) -> object:
    return plan_workflow(REPOSITORY / "config", {"experiments": UNITS, **values})


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"experiment": "contrst"}, "experiment 'contrst' .*did you mean 'contrast'"),
        ({"experiment": "duration"}, "set experiments.duration.save_responses: unit"),
        ({"method": "rsaa"}, "comparisons.ecog.method.*did you mean 'rsa'"),
        ({"distance": "eucliden"}, "unknown distance 'eucliden'.*did you mean 'euclidean'"),
        ({"score": "pearson"}, "unknown score 'pearson'"),
        ({"distanc": "euclidean"}, "unknown key 'distanc' .*did you mean 'distance'"),
        ({"pairs": "scorecards"}, "pairs='scorecards': give all, scorecard, or lists"),
        ({"n_permutations": 5}, "n_permutations=5 is too few"),
        ({"data": "nowhere.nc"}, "comparisons.ecog.data: there is no recording nowhere.nc"),
        ({"bin_ms": -1}, "comparisons.ecog.bin_ms=-1"),
        ({"value": 7.0}, "comparisons.ecog.value=7 is not among the values of experiments.contrast: 1$"),
        ({"layers": ["V1", "V3"]}, "unknown layer 'V3' .key comparisons.ecog.layers.; allowed|did you mean"),
        ({"pairs": {"ITT": "LOTC"}}, "unknown layer 'ITT' .key comparisons.ecog.pairs.; did you mean 'IT'"),
        ({"method": "behaviour", "n_units": 5}, "n_units means nothing for method: behaviour"),
        ({"decision": "entropy"}, "decision means nothing for method: rsa"),
    ],
)
def test_a_wrong_block_is_one_sentence_before_anything_runs(
    block: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "a.nc").touch()
    whole = {"experiment": "contrast", "data": str(tmp_path / "a.nc"), **block}
    with pytest.raises(InputError, match=sentence):
        plan(comparisons={"ecog": whole})


def test_a_value_is_one_of_the_experiment_as_tables_write_it(tmp_path: Path) -> None:
    """So a value can be copied from a message or a figure; that of an experiment that is not asked for is looked at too."""
    (tmp_path / "a.nc").touch()
    thirds = {"contrast": {**UNITS["contrast"], "values": [1 / 3, 1.0]}}
    block = {"experiment": "contrast", "data": str(tmp_path / "a.nc"), "value": 0.333333}
    assert plan(experiments=thirds, comparisons={"ecog": block}).comparisons["ecog"].value == 0.333333
    with pytest.raises(InputError, match="value=0.33333 is not among .* experiments.contrast: 0.333333, 1$"):
        plan(experiments=thirds, comparisons={"ecog": {**block, "value": 0.33333}}, experiment="duration")


def test_pairs_of_the_scorecard_are_those_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "a.nc").touch()
    block = {"experiment": "contrast", "data": str(tmp_path / "a.nc"), "pairs": "scorecard"}
    planned = plan(comparisons={"ecog": block}, model_name="DyRCNNx2")
    (run_id,) = planned.runs
    assert planned.comparison("ecog", run_id).pairs == {"layer1": ("V1", "V1-V3"), "layer2": ("LOTC",)}
    none = plan(comparisons={"ecog": block}, experiment="duration")
    assert none.comparisons == {}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Workflow:
    """A finished workflow without a comparison, then with a recording that follows the second layer by 4 ms."""
    workflow = copy_workflow(tmp_path_factory.mktemp("compared"), digits)
    outcome = workflow.snakemake(**ASKED)
    assert outcome.status == 0, outcome.said
    (run_id,) = workflow.runs
    units = workflow.results / "experiments" / "contrast" / run_id / "units.parquet"
    write_recording(units, workflow.root / "ecog.csv")
    write_trials(units.with_name("performance.parquet"), workflow.root / "trials.csv")
    outcome = workflow.snakemake(**ASKED, **WITH)
    assert outcome.status == 0, outcome.said
    assert "compare_ecog" in outcome.said and "experiment" not in outcome.said.partition("Job stats")[2][:200]
    return workflow


WITH = {
    "comparisons": "{people: {experiment: contrast, method: behaviour, data: trials.csv}, ecog: {experiment: contrast, "
    "data: ecog.csv, distance: euclidean, n_permutations: 20, n_units: 40, pairs: {layer2: LOTC, layer1: LOTC}}}"
}


def write_recording(units: Path, path: Path, lag_ms: float = 4.0) -> None:
    responses = open_responses(units, layers=["layer2"], n_units=40).load()["response"]
    times = responses["time_ms"].values
    rows = [
        (image, f"e{unit}", time + lag_ms, value, "LOTC")
        for image, of_image in zip(responses["image"].values, responses.values, strict=True)
        for unit, course in enumerate(of_image)
        for time, value in zip(times, course, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["image", "electrode", "time_ms", "response", "area"])
    table.to_csv(path, index=False)


def write_trials(performance: Path, path: Path) -> None:
    """Two observers who name the classes, as the labels are."""
    shown = pd.read_parquet(performance, columns=["image", "label"]).drop_duplicates()
    names = "digit " + shown["label"].astype(str)
    trials = [shown.assign(response=names, rt_ms=400 + shown["image"], observer=o) for o in ("a", "b")]
    pd.concat(trials).drop(columns="label").to_csv(path, index=False)


def test_a_comparison_is_made_and_reported(compared: Workflow) -> None:
    (run_id,) = compared.runs
    folder = compared.results / "comparisons" / "ecog" / run_id
    lags = pd.read_csv(folder / "lags.csv").set_index("layer")
    assert lags.loc["layer2", "best_score"] == pytest.approx(1, abs=1e-6)
    assert np.isnan(lags.loc["layer2", "lag_ms"]) or lags.loc["layer2", "lag_ms"] == 4.0
    for figure in ("time_maps", "courses"):
        for suffix in ("png", "svg", "csv"):
            assert (folder / f"{figure}.{suffix}").stat().st_size > 500
    page = (compared.results / "report.html").read_text()
    assert "Beside a recording: ecog" in page and "beside ecog.csv" in page
    assert "Beside observers: people" in page and f'id="comparison-1-{run_id}-behaviour"' in page
    measures = pd.read_csv(folder.parents[1] / "people" / run_id / "measures.csv").set_index("measure")
    test = json.loads((compared.results / "runs" / run_id / "test.json").read_text())
    assert (
        measures.loc["accuracy", "observers"] == 1
        and measures.loc["accuracy", "n_images"] == test["n_images"]
    )
    assert f'id="comparison-2-{run_id}-time_maps"' in page and f'id="comparison-2-{run_id}-courses"' in page


def test_what_changes_a_comparison_makes_it_again_and_nothing_else(compared: Workflow) -> None:
    again = {"compare_ecog": 1, "report": 1, "all": 1}
    assert compared.planned(**ASKED, **WITH) == {}
    shutil.rmtree(compared.root / ".snakemake")
    assert compared.planned(**ASKED, **WITH) == {}
    assert compared.planned(**ASKED) == {"report": 1, "all": 1}
    other = WITH["comparisons"].replace("euclidean", "correlation")
    assert compared.planned(**ASKED, comparisons=other) == again
    path = compared.root / "ecog.csv"
    before = path.read_text()
    path.write_text(before.replace("LOTC", "IT", 1))
    assert compared.planned(**ASKED, **WITH) == again
    path.write_text(before)
    assert compared.planned(**ASKED, **WITH) == {}
    lost = next((compared.results / "comparisons").rglob("lags.csv"))
    kept = lost.read_bytes()
    lost.unlink()
    assert compared.planned(**ASKED, **WITH) == again
    lost.write_bytes(kept)
