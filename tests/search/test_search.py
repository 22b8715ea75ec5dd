"""A search, with a stand-in for Snakemake that trains by a formula; the real one is in `test_search_workflow.py`."""

from __future__ import annotations

import csv
import fcntl
import itertools
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from dynvision.config.workflow import load_workflow_config
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError
from dynvision.runs import plan_workflow
from dynvision.search.study import Search
from dynvision.search.trial import Watch, make_sampler, suggest

pytest.importorskip("optuna")

CONFIG = Path(__file__).parents[2] / "config"
EPOCHS = 3
# Trains the runs whose trained.json it is asked for: the accuracy is the closer to 1, the closer the learning rate to .01.
TRAIN = f"""
import json, math, sys, time
from pathlib import Path
import yaml
arguments = sys.argv[1:]
files = arguments[arguments.index("--configfile") + 1 : arguments.index("--config")]
rate = yaml.safe_load(Path(files[-1]).read_text())["training"]["learning_rate"]
accuracy = 1 - abs(math.log10(rate) + 2) / 5
targets = arguments[: arguments.index("--configfile")]
for target in (Path(argument) for argument in targets if not argument.startswith("-")):
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name != "trained.json":
        target.write_text("")
        continue
    rows = ["epoch,val_accuracy,val_loss"]
    for epoch in range(1, {EPOCHS} + 1):
        rows.append(f"{{epoch}},{{accuracy * epoch / {EPOCHS}}},{{1 - accuracy}}")
        (target.parent / "training.csv").write_text("\\n".join(rows) + "\\n")
        if accuracy < 0.7:
            time.sleep(10**6 if "--slow" in arguments else 0)  # until it is stopped, after its first epoch
    (target.parent / "test.json").write_text(json.dumps({{"epoch": {EPOCHS}, "test_accuracy": accuracy, "weights": "x"}}))
    target.write_text("{{}}")
"""


class Launcher:
    """Starts the stand-in; keeps what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, arguments: Sequence[str], log: IO[str]) -> subprocess.Popen[str]:
        self.calls.append(list(arguments))
        command = [sys.executable, "-c", TRAIN, *arguments]
        return subprocess.Popen(command, stdout=log, stderr=log, text=True, start_new_session=True)


def search_in(folder: Path, launch: Any = None, options: Sequence[str] = (), **search: Any) -> Search:
    """A search whose results are in a folder."""
    settings = {
        "parameters": {"training.lr": {"low": 1e-4, "high": 1.0, "log": True}},
        "trials": 4,
        "sampler": "random",
        "pruner": "none",
        **search,
    }
    given = {"results_dir": str(folder), "training": {"epochs": EPOCHS}, "search": settings}
    return Search(CONFIG, given, ["any=thing"], (), options, launch or Launcher())


def table(search: Search) -> list[dict[str, str]]:
    with open(search.folder / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_trials_are_ordinary_runs(tmp_path: Path) -> None:
    search = search_in(tmp_path)
    best = search.run()
    rows = table(search)
    assert [row["state"] for row in rows] == ["complete"] * 4
    rates = [float(row["training.learning_rate"]) for row in rows]
    assert len(set(rates)) == 4
    wanted = [1 - abs(math.log10(rate) + 2) / 5 for rate in rates]
    assert [float(row["val_accuracy"]) for row in rows] == pytest.approx(wanted)
    assert best.number == wanted.index(max(wanted))
    assert read_yaml(search.folder / "best.yaml") == {"training": {"learning_rate": rates[best.number]}}
    for row in rows:  # the id is what any call with this file gives
        chosen = search.folder / "trials" / f"{row['trial']}.yaml"
        assert row["runs"].split() == list(plan_workflow(CONFIG, search.given, [chosen]).runs)
        assert (tmp_path / "runs" / row["runs"] / "trained.json").exists()


def test_equal_seeds_draw_the_same_however_the_search_is_cut(tmp_path: Path) -> None:
    whole, other = search_in(tmp_path / "whole"), search_in(tmp_path / "other", seed=2)
    whole.run()
    other.run()
    for trials in (1, 3, 4):
        search_in(tmp_path / "cut", trials=trials).run()
    drawn = [[row["training.learning_rate"] for row in table(one)] for one in (whole, other)]
    assert [row["training.learning_rate"] for row in table(search_in(tmp_path / "cut"))] == drawn[0]
    assert not set(drawn[0]) & set(drawn[1])


def test_a_finished_search_runs_nothing_again(tmp_path: Path) -> None:
    search_in(tmp_path).run()
    launcher = Launcher()
    search_in(tmp_path, launcher).run()
    assert launcher.calls == []


class Killed(BaseException):
    """Stands for a signal that ends the process."""


def test_a_trial_whose_process_is_gone_is_resumed(tmp_path: Path) -> None:
    launcher = Launcher()

    def killed(arguments: Sequence[str], log: IO[str]) -> Any:
        if sum("trained.json" in " ".join(call) for call in launcher.calls) == 2:
            raise Killed
        return launcher(arguments, log)

    with pytest.raises(Killed):
        search_in(tmp_path, killed).run()
    begun = read_yaml(tmp_path / "searches" / "search" / "trials" / "2.yaml")
    assert not (tmp_path / "searches" / "search" / "trials" / "3.yaml").exists()
    search = search_in(tmp_path)
    search.run()
    assert [row["state"] for row in table(search)] == ["complete"] * 4
    assert read_yaml(search.folder / "trials" / "2.yaml") == begun
    undisturbed = search_in(tmp_path / "undisturbed")
    undisturbed.run()
    assert table(search) == table(undisturbed)


def test_a_trial_that_another_process_holds_is_left_to_it(tmp_path: Path) -> None:
    search = search_in(tmp_path, trials=2)
    (search.folder / "trials").mkdir(parents=True)
    trial, held = search._take(search.study()) or (None, None)
    assert trial is not None and held is not None
    held.close()
    reading, writing = os.pipe()
    holder = os.fork()
    if holder == 0:
        with open(search.folder / "trials" / "0.held", "a") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            os.write(writing, b"x")
            signal.pause()
    os.read(reading, 1)
    try:
        search.run()
        assert [row["state"] for row in table(search)] == ["running", "complete"]
    finally:
        os.kill(holder, 9)
        os.waitpid(holder, 0)
    search.run()
    assert [row["state"] for row in table(search)] == ["complete", "complete"]


def test_an_event_that_was_half_written_is_cut_off(tmp_path: Path) -> None:
    search = search_in(tmp_path, trials=2)
    search.run()
    journal = search.folder / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 4, "wor')
    search_in(tmp_path, trials=3).run()
    assert journal.read_bytes().startswith(whole)
    assert [row["state"] for row in table(search)] == ["complete"] * 3


def rates(*given: float) -> dict[str, Any]:
    return {"training.lr": list(given)}


def test_a_training_that_is_worse_than_others_is_stopped(tmp_path: Path) -> None:
    for seed in itertools.count():  # one whose first trial is the good one and whose second is the bad one
        search = search_in(
            tmp_path / str(seed),
            parameters=rates(0.01, 1.0),
            pruner="median",
            startup_trials=1,
            trials=2,
            seed=seed,
            options=["--slow"],
        )
        (search.folder / "trials").mkdir(parents=True)
        study = search.study()
        drawn = []
        for number in range(2):
            study.sampler = make_sampler(search.settings, number)
            drawn.append(suggest(study.ask(), "training.learning_rate", (0.01, 1.0)))
        if drawn == [0.01, 1.0]:
            break
    search = search_in(tmp_path / "real", **search.settings.model_dump(), options=["--slow"])
    search.run()
    good, bad = table(search)
    assert (good["state"], bad["state"]) == ("complete", "pruned")
    folder = tmp_path / "real" / "runs" / bad["runs"]
    assert not (folder / "trained.json").exists()
    assert len((folder / "training.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("best_by", "direction", "good", "bad"),
    [("val_accuracy", "maximize", 0.9, 0.1), ("val_loss", "minimize", 0.1, 0.9)]
    + [("val_loss", "maximize", 0.1, 0.9), ("val_accuracy", "minimize", 0.9, 0.1)],
)
def test_the_worse_validation_is_pruned_whatever_is_looked_for(
    tmp_path: Path, best_by: str, direction: str, good: float, bad: float
) -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=direction, pruner=optuna.pruners.MedianPruner(n_startup_trials=1))
    given = {"results_dir": str(tmp_path), "training": {"epochs": 3, "best_by": best_by}, "seed": [1, 2]}
    plan = plan_workflow(CONFIG, given)

    def watched(value: float) -> Watch:
        for run_id, noise in zip(plan.runs, (-0.05, 0.05), strict=True):
            folder = plan.paths.run(run_id)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "training.csv").write_text(f"epoch,{best_by}\n1,{value + noise}\n2,{value + noise}\n")
        return Watch(study, study.ask(), plan)

    first = watched(0.5)
    assert not first.is_hopeless()
    assert [abs(value) for value in study.trials[0].intermediate_values.values()] == pytest.approx([0.5, 0.5])
    study.tell(first.trial, 0.5)
    assert not watched(good).is_hopeless()
    assert watched(bad).is_hopeless()


def test_values_that_are_not_possible_fail_alone(tmp_path: Path) -> None:
    search = search_in(tmp_path, parameters={**rates(0.01), "training.lr": [0.01, -1]}, trials=5)
    search.run()
    states = {row["training.learning_rate"]: row["state"] for row in table(search)}
    assert states == {"0.01": "complete", "-1": "fail"}
    assert all("learning_rate" in row["why"] for row in table(search) if row["state"] == "fail")


def test_a_search_in_which_nothing_works_ends(tmp_path: Path) -> None:
    search = search_in(tmp_path, parameters=rates(-2, -1), trials=50)
    with pytest.raises(InputError, match="the first 5 trials failed; the last one: .*learning_rate"):
        search.run()
    assert len(table(search)) == 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"parameters": {}}, "search.parameters is empty"),
        (
            {"objective": "val_acuracy"},
            "unknown objective 'val_acuracy' (key search.objective); did you mean 'val_accuracy'",
        ),
        ({"objective": "contrast.peek", "direction": "maximize"}, "did you mean 'peak'"),
        ({"objective": "contrast.f1", "direction": "maximize"}, "add f1 to experiments.contrast.measures"),
        ({"objective": "contrst.peak", "direction": "maximize"}, "did you mean 'contrast'"),
        ({"where": {"layer": "V1"}}, "search.where is of measures"),
        ({"objective": "contrast.peak"}, "search.direction must be minimize or maximize"),
        ({"direction": "minimize"}, "looks for the worst val_accuracy"),
        ({"parameters": {"training.lr": [0.1]}}, "at least two choices"),
        ({"parameters": {"training.lr": [0.1, 0.1]}}, "has a value twice"),
        ({"parameters": {"lr": [0.1, 0.2]}}, "search.parameters: lr is no model argument; write training.lr"),
        ({"parameters": {"trcc": {"low": 2, "high": 4}}}, "unknown key 'trcc'"),
        ({"parameters": {"data_name": ["digits", "mnist"]}}, "unknown key 'data_name'"),
        ({"parameters": {"training.learning_rat": [0.1, 0.2]}}, "did you mean 'learning_rate'"),
        ({"parameters": {"rctype": ["full", "slef"]}}, "did you mean 'self'"),
        ({"parameters": {"trc": {"low": 4, "high": 2}}}, "low=4 must be below high=2"),
        ({"parameters": {"trc": {"low": 0, "high": 2, "log": True}}}, "has no logarithm"),
        ({"parameters": {"trc": {"low": 2}}}, "search.parameters.trc.high is missing"),
        (
            {"parameters": {"trc": {"low": 2, "high": 13, "step": 2}}},
            "high=13 is not a whole number of steps of 2 above low=2; give 12 or 14",
        ),
        ({"parameters": {"trc": {"low": 2, "high": 6, "step": 10}}}, "steps of 10 above low=2; give 12"),
        (
            {"parameters": {"trc": {"low": 3, "high": 9, "step": 2}}},
            "{low: 3, high: 9, step: 2} has values that are not multiples of dt=2 ms; give low and step that are",
        ),
        ({"parameters": {"trc": {"low": 2, "high": 8}}}, "has values that are not multiples of dt=2 ms"),
        ({"parameters": {"trc": {"low": 2.0, "high": 8.0}}}, "has values that are not multiples of dt=2 ms"),
        ({"parameters": {"tff.V1": {"low": 0, "high": 9, "step": 3}}}, "not multiples of dt=2 ms"),
        (
            {"parameters": {"trc": [4, 5]}},
            "search.parameters.model_args.t_recurrence: [4, 5] has values that are not multiples of dt=2 ms",
        ),
        ({"parameters": {"trc": [6, {"V1": 6, "V2": 7, "V4": 6, "IT": 6}]}}, "not multiples of dt=2 ms"),
    ],
    ids=str,
)
def test_what_is_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        search_in(tmp_path, **given).check()
    assert said in str(error.value)


def test_times_on_the_grid_of_the_networks_can_be_searched(tmp_path: Path) -> None:
    for parameters in (
        {"trc": {"low": 2, "high": 12, "step": 2}},
        {"trc": {"low": 2.0, "high": 10.0, "step": 4.0}, "tau": {"low": 3.0, "high": 9.0}},
        {"trc": {"low": 3, "high": 9, "step": 3}, "dt": [1, 3]},  # which grid it is, each trial decides
        {"trc": [2, 6, {"V1": 4, "V2": 4, "V4": 6, "IT": 6}]},
    ):
        search_in(tmp_path, parameters=parameters).check()


def test_a_parameter_is_varied_in_one_place(tmp_path: Path) -> None:
    search = search_in(tmp_path)
    for elsewhere, said in (
        ({"training": {"lr": 0.1}}, "is given on the command line as well"),
        ({"category": {"training.lr": [0.1]}}, "category or paired both vary"),
        ({"paired": {"training.lr": [0.1]}}, "category or paired both vary"),
    ):
        with pytest.raises(InputError, match=said):
            Search(CONFIG, {**search.given, **elsewhere}).check()


def test_other_settings_are_another_search(tmp_path: Path) -> None:
    search_in(tmp_path).run()
    with pytest.raises(InputError, match="was begun with other settings"):
        search_in(tmp_path, seed=2).run()
    other = search_in(tmp_path)
    with pytest.raises(InputError, match="was begun with other settings"):  # another base is, too
        Search(CONFIG, {**other.given, "data": {"resolution": 8}}).run()


def test_whole_numbers_and_steps(tmp_path: Path) -> None:
    parameters = {"trc": {"low": 2, "high": 10, "step": 4}, "tau": {"low": 3.0, "high": 9.0, "step": 1.5}}
    search = search_in(tmp_path, parameters={**parameters, "training.lr": [0.01, 0.1]}, trials=8)
    search.run()
    found = [
        (read_yaml(path)["model_args"]["t_recurrence"], read_yaml(path)["model_args"]["tau"])
        for path in (search.folder / "trials").glob("*.yaml")
    ]
    assert {type(trc) for trc, _ in found} == {int} and {trc for trc, _ in found} <= {2, 6, 10}
    assert {tau for _, tau in found} <= {3.0, 4.5, 6.0, 7.5, 9.0}


def test_a_search_changes_no_run(tmp_path: Path) -> None:
    plain = plan_workflow(CONFIG, {"training": {"epochs": EPOCHS}})
    assert list(search_in(tmp_path).base.runs) == list(plain.runs)
    assert load_workflow_config(CONFIG).search.parameters == {}


def test_the_command_checks_and_runs_nothing(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    from dynvision.cli import main

    monkeypatch.chdir(CONFIG.parent)
    space = "search={parameters: {training.lr: {low: 0.001, high: 0.1, log: true}}, trials: 7}"
    arguments = ["search", "--check", f"results_dir={tmp_path}", "study=rates", space, "--", "--cores", "2"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path}/searches/rates: 7 trials, maximize val_accuracy" in said
    assert "training.learning_rate: {low: 0.001, high: 0.1, log: true}" in said
    assert not list(tmp_path.iterdir())
