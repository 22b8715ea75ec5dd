"""The commands one after the other, without Snakemake, as someone would call them by hand."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from dynvision.config.run import RunConfig, read_run_config
from dynvision.config.section import validate
from dynvision.config.visualization import DEFAULT_FIGURES, RUN_FIGURES
from dynvision.config.yaml_text import to_yaml
from tests.lab import Lab


@pytest.fixture(scope="module")
def by_hand(trained_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A results folder that was made by calling each command once."""
    lab = Lab(tmp_path_factory.mktemp("by hand"), trained_lab.images)
    run = validate(RunConfig, lab.sections(), "")
    results = lab.root / "results"
    data, folder = results / "data" / run.data_id, results / "runs" / run.run_id
    experiment = results / "experiments" / "contrast"
    tables = experiment / run.run_id
    lab.experiment().rename(lab.root / "contrast.yaml")
    frozen = json.dumps(yaml.safe_load((lab.root / "contrast.yaml").read_text()))
    config, weights = folder / "config.yaml", folder / "model.safetensors"
    responses, performance, metrics = (
        tables / f"{name}.parquet" for name in ("responses", "performance", "metrics")
    )
    of_experiment = ("--experiment", experiment / "config.yaml")
    of_tables = ("--responses", responses, "--performance", performance)
    calls = [
        ("config", "freeze-run", run.model_dump_json(), "--output", config),
        ("config", "freeze-experiment", frozen, "--output", experiment / "config.yaml"),
        ("convert", "--config", config, "--output", data, "--loader", "torch"),
        ("train", "--config", config, "--data", data, "--output", folder, "--loader", "torch"),
        ("experiment", *of_experiment, "--config", config, "--weights", weights, "--data", data, *of_tables,
         "--loader", "torch"),
        ("analyse", *of_experiment, *of_tables, "--output", metrics),
        ("plot", "--results", results, "--experiment", "contrast"),
        ("weights", "distributions", "--weights", weights, "--config", config, "--output", folder / "weights.parquet"),
        ("plot", "--results", results, "--training"),
        ("report", "--results", results, "--experiments", "contrast", "--run-ids", run.run_id,
         "--output", results / "report.html"),
        ("runs", "--results", results, "--output", results / "runs.csv"),
    ]  # fmt: skip
    for call in calls:
        outcome = lab.command(*call)
        assert outcome.status == 0, outcome.said
        assert "Warning" not in outcome.said
    return lab


def test_each_command_writes_its_files(by_hand: Lab) -> None:
    results = by_hand.root / "results"
    (run_id,) = (path.name for path in (results / "runs").iterdir())
    written = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    data_id = read_run_config(results / "runs" / run_id / "config.yaml").data_id
    figures = [f"contrast/{figure}" for figure in DEFAULT_FIGURES]
    figures += [f"training/{figure}" for figure in RUN_FIGURES]
    assert written == {
        *(f"data/{data_id}/{name}.json" for name in ("manifest", "converted")),
        *(
            f"runs/{run_id}/{name}"
            for name in ("config.yaml", "training.csv", "test.json", "model.safetensors", "trained.json")
            + ("weights.parquet", "weights.json")
        ),
        f"runs/{run_id}/checkpoints/best.ckpt",
        "experiments/contrast/config.yaml",
        *(
            f"experiments/contrast/{run_id}/{name}.parquet"
            for name in ("responses", "performance", "metrics")
        ),
        *(f"experiments/contrast/{run_id}/{name}.json" for name in ("responses", "metrics")),
        *(f"figures/{folder}/figures.json" for folder in ("contrast", "training")),
        *(f"figures/{figure}.{kind}" for figure in figures for kind in ("png", "svg", "csv")),
        "report.html",
        "report.json",
        "runs.csv",
    }


def test_frozen_files_are_what_was_given(by_hand: Lab) -> None:
    (folder,) = (by_hand.root / "results" / "runs").iterdir()
    assert read_run_config(folder / "config.yaml") == validate(RunConfig, by_hand.sections(), "")
    frozen = (by_hand.root / "results" / "experiments" / "contrast" / "config.yaml").read_text()
    assert frozen == (by_hand.root / "contrast.yaml").read_text()


def test_measures_of_the_trained_network(by_hand: Lab) -> None:
    (path,) = (by_hand.root / "results" / "experiments" / "contrast").glob("*/metrics.parquet")
    metrics = pd.read_parquet(path)
    peak = metrics[(metrics["measure"] == "peak") & (metrics["layer"] == "layer1")].set_index("value")["mean"]
    assert peak[1.0] > peak[0.25] > 0


@pytest.fixture
def folder_of_runs(tmp_path: Path) -> Iterator[Path]:
    """Three runs that differ in recurrence and seed."""
    for number, (kind, seed) in enumerate((("full", 1), ("self", 1), ("self", 2))):
        config = validate(RunConfig, {"model": {"args": {"rctype": kind}}, "seed": seed}, "")
        path = tmp_path / "runs" / f"run{number}" / "config.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(to_yaml(config))
    yield tmp_path


STATUS = ("status", "epoch", "test_accuracy", "date")


def run_table(lab: Lab, *arguments: object) -> list[dict[str, str]]:
    outcome = lab.command("runs", *arguments)
    assert outcome.status == 0
    return list(csv.DictReader(io.StringIO(outcome.said)))


def test_runs_shows_what_differs(folder_of_runs: Path, lab: Lab) -> None:
    untrained = {"status": "waiting", "epoch": "", "test_accuracy": "", "date": ""}
    assert run_table(lab, "--results", folder_of_runs) == [
        {
            "run_id": name,
            **untrained,
            "model.args.recurrence_type": kind,
            "data.split_seed": seed,
            "seed": seed,
        }
        for name, kind, seed in (("run0", "full", "1"), ("run1", "self", "1"), ("run2", "self", "2"))
    ]


def test_runs_shows_all_if_asked(folder_of_runs: Path, lab: Lab) -> None:
    rows = run_table(lab, "--results", folder_of_runs, "--all")
    assert {row["model.args.tau"] for row in rows} == {"5.0"}
    assert {"training.epochs", "data.name", "model.name"} <= set(rows[0])
    assert list(rows[0])[:5] == ["run_id", *STATUS]
    assert list(rows[0])[5:8] == ["model.args.recurrence_type", "data.split_seed", "seed"]


def test_a_file_of_runs_has_all_parameters_first_those_that_differ(folder_of_runs: Path, lab: Lab) -> None:
    outcome = lab.command("runs", "--results", folder_of_runs, "--output", folder_of_runs / "runs.csv")
    assert (outcome.status, outcome.said) == (0, "")
    with open(folder_of_runs / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    shown = run_table(lab, "--results", folder_of_runs, "--all")
    assert rows == [{name: value for name, value in row.items() if name not in STATUS} for row in shown]


def test_a_run_of_an_earlier_version_does_not_hide_the_others(folder_of_runs: Path, lab: Lab) -> None:
    (folder_of_runs / "runs" / "run0" / "config.yaml").write_text("model: {name: OldNet, args: {tua: 3}}\n")
    rows = run_table(lab, "--results", folder_of_runs, "--all")
    assert [row["run_id"] for row in rows] == ["run0", "run1", "run2"]
    assert (rows[0]["model.args.tua"], rows[1]["model.args.tua"], rows[0]["seed"]) == ("3", "", "")


def test_no_runs_are_an_empty_table(tmp_path: Path, lab: Lab) -> None:
    outcome = lab.command("runs", "--results", tmp_path)
    assert (outcome.status, outcome.said) == (0, f"run_id,{','.join(STATUS)}\n")


def test_config_show_is_the_resolved_workflow(lab: Lab) -> None:
    shipped = Path(__file__).parents[2] / "config"
    outcome = lab.command("config", "show", "--config-dir", shipped)
    assert outcome.status == 0
    values = yaml.safe_load(outcome.said)
    assert values["model_name"] == "DyRCNNx4"
    assert values["experiments"]["contrast"]["stimulus"] == {
        "type": "pulse",
        "duration_ms": 40.0,
        "contrast": 1.0,
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("model_args={taw: 8}", "unknown key 'taw' (key model_args.taw); did you mean 'tau'?"),
        ("category={rctyp: [full]}", "unknown key 'rctyp' (key model_args.rctyp)"),
        ("experiments={contrast: {model_args: {t_idel: 4}}}", "unknown key 't_idel' (key model_args.t_idel)"),
    ],
)
def test_config_show_refuses_what_snakemake_would(lab: Lab, given: str, said: str) -> None:
    outcome = lab.command("config", "show", given, "--config-dir", Path(__file__).parents[2] / "config")
    assert outcome.status == 2
    assert "model_name: DyRCNNx4" in outcome.said  # printed all the same, with the origin of the wrong value
    assert said in outcome.said.splitlines()[-1]


def test_the_configuration_of_a_clone_is_used_elsewhere(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.root)
    outcome = lab.command("config", "show")
    assert outcome.status == 2 and "set DYNVISION_CONFIG to its config" in outcome.said
    monkeypatch.setenv("DYNVISION_CONFIG", str(Path(__file__).parents[2] / "config"))
    assert "model_name: DyRCNNx4" in lab.command("config", "show").said
    assert "ok    configuration  valid: " in lab.command("doctor").said


def test_config_sync_writes_and_checks(lab: Lab) -> None:
    folder = shutil.copytree(Path(__file__).parents[2] / "config", lab.root / "config")
    assert lab.command("config", "sync", "--config-dir", folder, "--check").status == 0
    (folder / "README.md").write_text("")
    outcome = lab.command("config", "sync", "--config-dir", folder, "--check")
    assert outcome.status == 2
    assert outcome.said.endswith("config/README.md; run 'dynvision config sync'\n")
    assert lab.command("config", "sync", "--config-dir", folder).status == 0
    assert lab.command("config", "sync", "--config-dir", folder, "--check").status == 0


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("run", "{", "the configuration is not valid JSON"),
        ("run", "[]", "must be a JSON object with keys and values, not []"),
        ("run", '{"seeed": 1}', "unknown key 'seeed' (key seeed); did you mean 'seed'?"),
        ("data", '{"resolution": -1}', "data.resolution=-1 is not valid"),
        ("experiment", "{}", "the configuration of an experiment needs a key name"),
        ("experiment", '{"name": "blink", "values": []}', "experiments.blink: values is empty"),
    ],
)
def test_what_cannot_be_frozen_is_one_sentence(lab: Lab, kind: str, values: str, said: str) -> None:
    outcome = lab.command("config", f"freeze-{kind}", values, "--output", lab.root / "frozen.yaml")
    assert outcome.status == 2
    assert (
        outcome.said.startswith("dynvision config: ")
        and said in outcome.said
        and outcome.said.count("\n") == 1
    )
    assert not (lab.root / "frozen.yaml").exists()
