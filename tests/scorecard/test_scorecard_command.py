"""``dynvision scorecard RUN`` on a trained run, and the figure."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from matplotlib.figure import Figure

from dynvision.analysis.scorecard import score_run
from dynvision.config.run import read_run_config
from dynvision.config.workflow import load_workflow_config
from dynvision.config.yaml_text import to_yaml
from dynvision.data import DataModule
from dynvision.models.build import build_model
from dynvision.models.weights import save_weights
from dynvision.report.content import figure_plate
from dynvision.runs import ResultPaths
from dynvision.runs.expansion import expand_runs
from dynvision.runs.made_from import TRAINED
from dynvision.training.fit import provenance
from dynvision.visualization.scorecard import scorecard_caption, scorecard_figure
from dynvision.visualization.style import Style
from tests.lab import forked_command
from tests.scorecard.delayed_normalization_tables import HUMAN, PROTOCOLS, response_table

EXPERIMENTS = """
experiments:
  short_contrast: {stimulus: {duration_ms: 20}, values: [0.25, 1.0], baseline_ms: 4, recorded_ms: 40}
  short_interval: {stimulus: {type: pair, duration_ms: 8}, parameter: gap_ms, values: [0, 8, 60], recorded_ms: 60}
"""
SCORECARD = """
scorecard:
  experiments: {contrast: short_contrast, interval: short_interval}
  areas: {layer1: V1, layer2: [LOTC]}
"""


@pytest.fixture(scope="module")
def results(trained_lab, tmp_path_factory):
    """A folder with configurations and one trained run."""
    root = tmp_path_factory.mktemp("scorecard")
    config = read_run_config(trained_lab.root / "config.yaml")
    run = root / "results" / "runs" / config.run_id
    shutil.copytree(trained_lab.root / "run", run)
    shutil.copy(trained_lab.root / "config.yaml", run)
    shutil.copytree(trained_lab.root / "data", root / "results" / "data" / config.data_id)
    (root / "config").mkdir()
    (root / "config" / "config_experiments.yaml").write_text(EXPERIMENTS)
    (root / "config" / "config_scorecard.yaml").write_text(SCORECARD)
    return root, config.run_id


def command(results, *arguments):
    root, run_id = results
    places = ("--results", root / "results", "--config-dir", root / "config")
    return forked_command("scorecard", run_id, *places, "--loader", "torch", *arguments, log=root / "log")


def test_it_shows_the_protocols_once_and_writes_table_text_and_figure(results):
    root, run_id = results
    first = command(results)
    assert first.status == 0, first.said
    folder = root / "results" / "scorecard" / run_id
    card = pd.read_parquet(folder / "scorecard.parquet")
    assert set(card["experiment"]) == {"short_contrast", "short_interval"}
    assert set(card.loc[card["kind"] == "number", "layer"]) == {"layer1", "layer2"}
    assert (folder / "scorecard.txt").read_text() in first.said
    assert {path.suffix for path in folder.iterdir()} == {".parquet", ".json", ".txt", ".csv", ".png", ".svg"}
    written = pd.read_csv(folder / "scorecard.csv", keep_default_na=False)
    for column in ("name", "layer", "verdict"):
        assert written[column].tolist() == card[column].tolist()
    plate = figure_plate(folder, root / "results", f"scorecard-{run_id}", "scorecard")
    assert plate.source.startswith("data:image/svg") and run_id in plate.caption
    again = command(results)
    assert "images in 2 conditions" in first.said and "images in 2 conditions" not in again.said
    assert pd.read_parquet(folder / "scorecard.parquet").equals(card)


def test_a_changed_protocol_is_shown_again(results):
    root, _ = results
    path = root / "config" / "config_experiments.yaml"
    path.write_text(EXPERIMENTS.replace("[0.25, 1.0]", "[0.125, 0.5, 1.0]"))
    outcome = command(results)
    assert outcome.status == 0, outcome.said
    assert "images in 3 conditions" in outcome.said and "short_interval:" not in outcome.said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{", "--settings is not valid JSON"),
        ('{"experiments": {"contrst": "contrast"}}', "did you mean 'contrast'"),
        ('{"areas": {"layer1": "V1"}}', "scorecard.experiments or scorecard.areas is empty"),
        ('{"experiments": {"contrast": "never"}, "areas": {"layer1": "V1"}}', "never/config.yaml"),
    ],
)
def test_settings_that_cannot_be_used_are_one_sentence(results, settings, said):
    outcome = command(results, "--settings", settings)
    assert outcome.status == 2 and said in outcome.said and "Traceback" not in outcome.said


def test_the_figure_shows_every_number_of_the_table():
    areas = {"V1": ["V1", "V1-V3"], "V4": ["VOTC"], "IT": ["LOTC"]}
    tables = {name: response_table(name, HUMAN, n_images=1) for name in PROTOCOLS}
    card = score_run(tables, areas)
    style = Style()
    with style.context():
        figure = scorecard_figure(card, style)
    assert isinstance(figure, Figure)
    signs, *curves, ratios = figure.axes
    assert len(signs.get_yticklabels()) == card.loc[card["kind"] == "sign", "name"].nunique()
    drawn = sum(len(line.get_xdata()) for axes in curves for line in axes.get_lines()) / 2
    single = len(ratios.get_yticklabels())
    assert drawn + single == (card["kind"] == "number").sum()
    caption = scorecard_caption(card)
    assert "Groen et al. (2022)" in caption and "sign tests are as in cortex" in caption


def test_controls_are_planned_and_then_scored_beside_the_network(results):
    root, run_id = results
    only = ("--protocols", "contrast", "--controls")
    first = command(results, *only)
    assert first.status == 0, first.said
    written = root / "results" / "scorecard" / run_id / "controls.yaml"
    assert "Not trained: parameters, computation" in first.said and str(written) in first.said
    planned = expand_runs(load_workflow_config(root / "config", {}, [written]))
    assert len(planned) == 2 and all(f"control {control}:" in first.said for control in planned)
    control = next(iter(planned.values()))  # the one of as many parameters, with weights as they begin
    folder = root / "results" / "runs" / control.run_id
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(to_yaml(control))
    data = DataModule(
        root / "results" / "data" / control.data_id, control.data, batch_size=4, loader="memory"
    )
    model = build_model(control, data.input_shape, data.n_classes)
    save_weights(model, folder / "model.safetensors", {**provenance(control), **data.manifest.header()})
    again = command(results, *only)
    assert again.status == 0, again.said
    assert "Not trained: computation." in again.said
    table = pd.read_parquet(written.with_name("controls.parquet"))
    assert set(table["control"]) == {"network", "parameters"}
    assert set(table.loc[table["control"] == "parameters", "run_id"]) == {control.run_id}
    (line,) = [one for one in again.said.splitlines() if one.startswith("as in cortex or people")]
    asked = table[table["kind"] == "sign"].groupby("control")
    for _, of_one in asked:
        assert f"{(of_one['verdict'] == 'yes').sum()} of {len(of_one)}" in line


def test_controls_are_trained_as_the_network_was_and_scored(results):
    root, run_id = results
    outcome = command(results, "--protocols", "contrast", "--train-controls")
    assert outcome.status == 0 and "Not trained" not in outcome.said, outcome.said
    paths = ResultPaths(root / "results")
    table = pd.read_parquet(root / "results" / "scorecard" / run_id / "controls.parquet")
    runs = table.groupby("control")["run_id"].first()
    assert set(runs.index) == {"network", "parameters", "computation"} and runs["network"] == run_id
    network, control = (
        read_run_config(paths.run(runs[name]) / "config.yaml") for name in ("network", "computation")
    )
    assert (control.training, control.data, control.seed) == (network.training, network.data, network.seed)
    log = pd.read_csv(paths.run(control.run_id) / "training.csv")
    assert log["epoch"].max() == network.training.epochs
    assert (paths.run(control.run_id) / TRAINED).exists()  # so that a workflow finds it trained


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--protocols", "contrat"), "unknown protocol 'contrat' (key --protocols); did you mean 'contrast'"),
        (("--images", "0"), "--images 0 shows nothing; give at least 1"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(results, arguments, said):
    outcome = command(results, *arguments)
    assert outcome.status == 2 and said in outcome.said and "Traceback" not in outcome.said


def test_a_single_image_has_no_others_beside_it(results, tmp_path):
    """It is stated before anything is shown, with the key that was given."""
    row = "{type: rsvp, n_in_row: 2, target_position: 1, duration_ms: 8}"
    (tmp_path / "config_experiments.yaml").write_text(
        f"experiments: {{row: {{stimulus: {row}, parameter: duration_ms, values: [8, 16]}}}}\n"
    )
    (tmp_path / "config_scorecard.yaml").write_text(
        "scorecard: {experiments: {rsvp: row}, areas: {layer1: V1}}\n"
    )
    root, run_id = results
    places = ("--results", root / "results", "--config-dir", tmp_path)
    outcome = forked_command("scorecard", run_id, *places, "--images", "1", log=tmp_path / "log")
    assert (
        outcome.status == 2 and "--images 1 leaves row without the other images that it shows" in outcome.said
    )
