"""Plugins: one of each kind of definition from outside of the package is known wherever those of the package are."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dynvision.extend
import dynvision.models.dyrcnn  # noqa: F401  # with torch, once for all forks
from dynvision.cli import main
from dynvision.config.yaml_text import given_values, to_yaml
from dynvision.errors import InputError
from dynvision.files import write_text
from dynvision.plugins import load, names, place
from dynvision.registry import Registry, from_outside
from dynvision.runs import plan_workflow
from dynvision.runs.freshness import Freshness
from dynvision.runs.made_from import of_figures, of_metrics, of_responses
from tests.processes import Outcome, run_forked

STUDY = Path(__file__).with_name("my_study.txt")
EXPERIMENT = (
    "{stimulus: {type: twice, half_ms: 4}, noise: {type: stripes, ssnr: 0.8}, parameter: half_ms, values: [2, 4], "
    "recorded_ms: 20, measures: [dip, peak]}"
)
ASKED = (
    "model_name=StudyNet",
    "model_args={dynamics_solver: half_euler, n_timesteps: 4}",
    "training={loss: {CrossEntropyLoss: 1, SparseLoss: {weight: 0.1, floor: 0.5}}}",
    "experiment=mine",
    f"experiments={{mine: {EXPERIMENT}}}",
    "visualization={figures: {mine: [dips, responses]}}",
)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with an empty configuration and a plugin."""
    (tmp_path / "config").mkdir()  # without the shipped files, which take longest to check
    shutil.copy(STUDY, tmp_path / "my_study.py")
    return tmp_path


def forked(folder: Path, action: Callable[[], int]) -> Outcome:
    """Do something in a fork that works in a folder, since what is registered stays registered."""

    def inside() -> int:
        os.chdir(folder)
        return action()

    return run_forked(inside, folder / "log")


def dynvision(folder: Path, *arguments: str) -> Outcome:
    return forked(folder, lambda: main(arguments))


def python(code: str, folder: Path) -> str:
    def run() -> int:
        exec(code, {})
        return 0

    outcome = forked(folder, run)
    assert outcome.status == 0, outcome.said
    return outcome.said


def planned(folder: Path, *texts: str) -> dict[str, Any]:
    """The id and the frozen JSON of the first run, and that of the experiment."""

    def plan() -> int:
        made = plan_workflow("config", given_values(texts))
        run_id = next(iter(made.runs))
        run, experiment = json.loads(made.run_json(run_id)), json.loads(made.experiment_json("mine"))
        config = made.experiments["mine"]
        made_from = [
            of_responses(config, "digits", "weights", "data"),
            of_metrics(config, "responses"),
            of_figures(config, {}, "look", made.workflow.visualization.figures_of("mine")),
        ]
        result = {"run_id": run_id, "run": run, "experiment": experiment, "made_from": made_from}
        Path("plan.json").write_text(json.dumps(result))
        return 0

    outcome = forked(folder, plan)
    assert outcome.status == 0, outcome.said
    result: dict[str, Any] = json.loads((folder / "plan.json").read_text())
    return result


@pytest.mark.parametrize("plugin", ["my_study", "./my_study.py"])
def test_one_of_each_is_planned_and_its_source_is_part_of_the_identity(plugin: str, study: Path) -> None:
    asked = (f"plugins={plugin}", *ASKED)
    first = planned(study, *asked)
    assert first["run_id"].startswith("StudyNet_digits_s1_")
    assert first["run"]["plugins"] == [plugin] == first["experiment"]["plugins"]
    source = (study / "my_study.py").read_text()
    (study / "my_study.py").write_text("# a comment\n" + source)
    assert planned(study, *asked) == first
    (study / "my_study.py").write_text(source.replace("super().gain() / 2", "super().gain() / 3"))
    second = planned(study, *asked)
    assert second["run_id"] != first["run_id"]
    assert second["run"]["model_source"] != first["run"]["model_source"]
    for later, earlier in zip(second["made_from"], first["made_from"], strict=True):
        assert later["source"] != earlier["source"] and {**later, "source": ""} == {**earlier, "source": ""}


def test_a_run_that_uses_nothing_of_a_plugin_is_the_run_of_before(study: Path) -> None:
    plain = planned(study, "experiments={mine: {values: [1]}}", "experiment=mine")
    beside = planned(study, "plugins=[my_study]", "experiments={mine: {values: [1]}}", "experiment=mine")
    assert plain == beside and "plugins" not in plain["run"]


def test_a_frozen_run_and_experiment_bring_their_plugins(study: Path) -> None:
    given = planned(study, "plugins=my_study", *ASKED)
    for kind in ("run", "experiment"):
        done = dynvision(
            study, "config", f"freeze-{kind}", json.dumps(given[kind]), "--output", f"{kind}.yaml"
        )
        assert done.status == 0, done.said
    code = (
        "from dynvision.config.run import read_run_config; from dynvision.analysis import read_experiment\n"
        "from dynvision.models.build import build_model\n"
        "run = read_run_config('run.yaml'); model = build_model(run, (1, 28, 28), 10)\n"
        "print(run.run_id, type(model).__name__, type(model.tstep_layer1).__name__)\n"
        "print(read_experiment('experiment.yaml').config.stimulus.half_ms)"
    )
    printed = python(code, study).split()
    assert printed == [given["run_id"], "StudyNet", "HalfEuler", "4.0"]
    (study / "my_study.py").unlink()
    done = dynvision(study, "predict", "run", "a.png", "--results", str(study))
    assert done.status == 2 and "Traceback" not in done.said


def test_a_frozen_experiment_of_a_plugin_is_not_frozen_again(study: Path) -> None:
    def plan() -> int:
        made = plan_workflow("config", given_values(("plugins=my_study", *ASKED)))
        path = made.paths.frozen_experiment("mine")
        write_text(path, to_yaml(json.loads(made.experiment_json("mine"))))
        fresh = Freshness(made)
        fresh.look()
        assert "plugins" in path.read_text() and str(path) not in fresh.again
        return 0

    outcome = forked(study, plan)
    assert outcome.status == 0, outcome.said


def test_commands_help_and_tables_know_what_the_configuration_names(study: Path) -> None:
    (study / "config" / "config_workflow.yaml").write_text("plugins: [my_study]\nmodel_name: StudyNet\n")
    shown = dynvision(study, "config", "show", *ASKED[1:])
    assert shown.status == 0, shown.said
    for word in ("half_euler", "SparseLoss", "type: stripes", "dip", "dips", "half_ms"):
        assert word in shown.said, word
    assert "dips: accuracy, as this study draws it" in " ".join(
        dynvision(study, "plot", "--help").said.split()
    )
    assert "StudyNet" in dynvision(study, "models", "StudyNet").said
    assert dynvision(study, "config", "sync").status == 0
    table = (study / "config" / "README.md").read_text()
    for row in (
        "`stimulus` of type `twice`",
        "`SparseLoss` in `training.loss`",
        "half_euler",
        "`dip`",
        "`dips`",
        "StudyNet",
        "`stripes`",
        "| targets (`plugins`) | `",
    ):
        assert row in table, row
    schema = (study / "config" / "schema" / "workflow.json").read_text()
    assert "SparseLossTerm" in schema and "half_euler" in schema


def test_targets_are_beside_those_of_the_package(study: Path) -> None:
    code = (
        "from dynvision.plugins import load; load(['my_study'])\n"
        "from dynvision.analysis.scorecard import read_targets\n"
        "table = read_targets(); print(*table[table['source'] == 'my own recording']['target'], len(table) > 10)"
    )
    assert python(code, study).split() == ["0.25", "True"]


WRONG = [
    ("plugins=nowhere_study", "plugins: there is no module 'nowhere_study', neither installed nor in the folder"),
    ("plugins=my_study.pyy", "plugins: there is no module 'my_study.pyy', neither installed nor in the folder"),
    ("plugins=sub/none.py", "plugins: there is no file sub/none.py; give a file of Python code"),
    ("plugins=[1]", "plugins: 1 is neither the name of a module nor the path of a file"),
    ("plugins=broken", "plugins: broken does not run: ZeroDivisionError: division by zero"),
    ("plugins=syntax", "plugins: syntax does not run: SyntaxError"),
    ("plugins=taken", "plugins: taken: the noise name 'gaussian' is taken; choose another"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_a_plugin_that_cannot_be_used_is_one_sentence(given: str, message: str, study: Path) -> None:
    (study / "broken.py").write_text("1 / 0\n")
    (study / "syntax.py").write_text("def\n")
    (study / "taken.py").write_text("from dynvision.extend import noise\n@noise('gaussian')\ndef g(r): ...\n")
    done = dynvision(study, "config", "show", given)
    assert done.status == 2 and done.said.count("\n") == 1
    assert done.said.startswith(f"dynvision config: {message}")


def test_what_a_plugin_registered_before_it_failed_is_removed() -> None:
    registry: Registry[int] = Registry("thing")
    with pytest.raises(ZeroDivisionError), from_outside("mine"):
        registry.add("one", 1)
        registry.add("two", 1 // 0)
    assert "one" not in registry
    with from_outside("mine"):
        registry.add("one", 1, "uno")
    registry.add("two", 2)
    assert (registry.outside("uno"), registry.outside("two"), registry.outside("three")) == ("mine", "", "")


def test_names_of_plugins() -> None:
    assert names(None) == () == names("") and names("a") == ("a",) == names(["a"])
    assert given_values(["plugins=[a, b.py]"])["plugins"] == ["a", "b.py"]
    assert place("a.b") == ("a.b", None)
    with pytest.raises(InputError, match="no file /nowhere/a.py"):
        load(["/nowhere/a.py"])
