"""SIGKILL in the middle of each rule: no file is half, and the command, called again, ends as if nothing had happened."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.lab import forked_command
from tests.processes import Kill, Outcome
from tests.workflow.conftest import Workflow
from tests.workflow.contents import contents


class Rule:
    """A rule's command in a finished workflow, with what it writes removed, as Snakemake does before it runs a job."""

    def __init__(self, workflow: Workflow, arguments: list[object], outputs: list[Path]) -> None:
        self.workflow, self.arguments = workflow, arguments
        self.place = outputs[0] if outputs[0].parent == workflow.results else outputs[0].parent
        self.finished = contents(self.place)
        for path in outputs:
            path.unlink()

    def call(self, kill: Kill | None = None) -> Outcome:
        return forked_command(*self.arguments, log=self.workflow.root / "log", kill=kill)


@pytest.fixture
def rule(again: Workflow) -> Callable[[str], Rule]:
    """Makes the command of a rule by its name."""
    results, run_id = again.results, again.runs[0]
    run, (data,) = results / "runs" / run_id, (results / "data").iterdir()
    experiment = results / "experiments" / "contrast"
    tables, figures = experiment / run_id, results / "figures"
    responses, performance, metrics = (
        tables / f"{name}.parquet" for name in ("responses", "performance", "metrics")
    )
    frozen = ("--experiment", experiment / "config.yaml")
    of_tables = ("--responses", responses, "--performance", performance)
    network = ("--config", run / "config.yaml", "--data", data, "--loader", "torch")
    of_runs = ("--results", results, "--run-ids", *again.runs)
    names = ("--experiments", "contrast", "--run-ids", *again.runs)
    values = (run / "config.yaml").read_text()
    commands: dict[str, tuple[list[object], list[Path]]] = {
        "freeze_run": (
            ["config", "freeze-run", json.dumps(yaml.safe_load(values)), "--output", run / "config.yaml"],
            [run / "config.yaml"],
        ),
        "convert_dataset": (
            ["convert", "--config", data / "config.yaml", "--output", data, "--loader", "torch"],
            [data / "manifest.json"],
        ),
        "train": (
            ["train", *network, "--output", run],
            [run / "model.safetensors", run / "training.csv", run / "test.json"],
        ),
        "experiment": (
            ["experiment", *frozen, *network, "--weights", run / "model.safetensors", *of_tables],
            [responses, performance],
        ),
        "analyse": (["analyse", *frozen, *of_tables, "--output", metrics], [metrics]),
        "plot_contrast": (
            ["plot", "--experiment", "contrast", *of_runs],
            [*(figures / "contrast").iterdir()],
        ),
        "weights": (
            [
                "weights",
                "distributions",
                "--weights",
                run / "model.safetensors",
                "--config",
                run / "config.yaml",
            ]
            + ["--output", run / "weights.parquet"],
            [run / "weights.parquet"],
        ),
        "plot_training": (
            ["plot", "--training", *of_runs],
            [*(figures / "training").iterdir()],
        ),
        "report": (
            ["report", "--results", results, *names, "--output", results / "report.html"],
            [results / "report.html"],
        ),
        "runs_table": (
            ["runs", "--results", results, "--output", results / "runs.csv"],
            [results / "runs.csv"],
        ),
    }
    return lambda name: Rule(again, *commands[name])


def kill_and_go_on(rule: Rule, kills: list[Kill]) -> str:
    """Be killed once for each of ``kills``, each time where the one before left off, and then end; what was said last."""
    for kill in kills:
        assert rule.call(kill).status == -signal.SIGKILL, kill
        assert rule.place.is_file() or contents(rule.place).keys() <= rule.finished.keys()
    outcome = rule.call()
    assert outcome.status == 0, outcome.said
    return outcome.said


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("freeze_run", [Kill(0, "config"), Kill(1, "config")]),
        ("convert_dataset", [Kill(0, "manifest"), Kill(1, "manifest"), Kill(2, "manifest")]),
        ("experiment", [Kill(0, "responses"), Kill(0, "performance.parquet")]),
        ("weights", [Kill(0, "weights.parquet")]),
        ("analyse", [Kill(0, "metrics"), Kill(0, "metrics.parquet")]),
        ("report", [Kill(0, "report"), Kill(0, "report.html")]),
        ("runs_table", [Kill(0, "runs.csv")]),
    ],
)
def test_a_killed_rule_goes_on(rule: Callable[[str], Rule], name: str, kills: list[Kill]) -> None:
    command = rule(name)
    kill_and_go_on(command, kills)
    assert contents(command.place) == command.finished
    if name == "experiment":
        assert list(command.place.glob(".*")) == []


def test_a_killed_training_goes_on_from_its_last_checkpoint(rule: Callable[[str], Rule]) -> None:
    command = rule("train")
    in_turn = [
        Kill(0, "training.csv"),
        Kill(1, "last.ckpt"),
        Kill(0, "test.json"),
        Kill(0, "model.safetensors"),
    ]
    command.finished["checkpoints/last.ckpt"] = 0  # is there until the training has ended
    assert "resuming from" in kill_and_go_on(command, in_turn)
    del command.finished["checkpoints/last.ckpt"]
    assert contents(command.place) == command.finished
    assert list(command.place.rglob(".*")) == []


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("plot_contrast", [Kill(0, "measures.svg")]),
        ("plot_training", [Kill(0, "training.png"), Kill(0, "training.csv")]),
    ],
)
def test_killed_figures_are_drawn_again(rule: Callable[[str], Rule], name: str, kills: list[Kill]) -> None:
    """For one of the two runs, so that only the names can be compared; that all can be read is checked on the way."""
    command = rule(name)
    kill_and_go_on(command, kills)
    assert contents(command.place).keys() == command.finished.keys()
