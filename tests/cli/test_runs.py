"""``dynvision runs``: what is there, found by what it is, deleted, and done again."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from dynvision.cli import main
from dynvision.config.run import RunConfig, read_run_config
from dynvision.config.section import validate
from dynvision.config.yaml_text import to_yaml
from dynvision.errors import InputError
from dynvision.runs import ResultPaths
from dynvision.runs.listing import RowFilter, chosen, list_runs
from dynvision.runs.made_from import made_from
from tests.lab import Lab


@pytest.fixture
def results(lab_with_run: Lab) -> Path:
    """A trained run that has seen an experiment, one that was stopped and one of which only its configuration is there."""
    root = lab_with_run.root / "results"
    config = read_run_config(lab_with_run.root / "config.yaml")
    shutil.copytree(lab_with_run.root / "data", root / "data" / config.data_id)
    shutil.copytree(lab_with_run.root / "run", root / "runs" / config.run_id)
    shutil.copy(lab_with_run.root / "config.yaml", root / "runs" / config.run_id)
    tables = root / "experiments" / "contrast" / config.run_id
    tables.mkdir(parents=True)
    shutil.copy(lab_with_run.experiment(), tables.parent / "config.yaml")
    for name, arguments in (("stopped", {"t_recurrence": 10}), ("waiting", {"t_recurrence": 2, "tau": 9})):
        path = lab_with_run.config(
            name, model={"args": {**lab_with_run.sections()["model"]["args"], **arguments}}
        )
        folder = root / "runs" / read_run_config(path).run_id
        folder.mkdir()
        shutil.move(path, folder / "config.yaml")
        if name == "stopped":
            (folder / "checkpoints").mkdir()
            (folder / "checkpoints" / "last.ckpt").touch()
            (folder / "training.csv").write_text("epoch\n1\n2\n")
    return root


def listed(results: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, str]]:
    assert main(["runs", "list", "--results", str(results), *options]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--results", str(tmp_path / "none")]) == 2
    assert (
        f"there is no folder {tmp_path / 'none'}; give the folder of the results" in capsys.readouterr().err
    )
    assert listed(tmp_path, capsys) == []


def test_status_accuracy_and_date(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["status"]: row for row in listed(results, capsys)}
    assert set(rows) == {"trained", "stopped", "waiting"}
    trained = json.loads((results / "runs" / rows["trained"]["run_id"] / "test.json").read_text())
    assert float(rows["trained"]["test_accuracy"]) == pytest.approx(trained["test_accuracy"], abs=1e-4)
    assert rows["trained"]["date"].startswith("20") and rows["trained"]["epoch"] == "3"
    assert (rows["stopped"]["epoch"], rows["stopped"]["test_accuracy"]) == ("2", "")
    assert {row["model.args.t_recurrence"] for row in rows.values()} == {"2.0", "10.0"}


def test_an_argument_that_one_model_does_not_have_is_no_difference(
    results: Path, lab_with_run: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model of one's own has no list of arguments: those of the others are not columns for that alone."""
    before = set(listed(results, capsys)[0])
    model = {"name": "my_models:MyModel", "args": {"n_units": 3}}
    path = lab_with_run.root / "own.yaml"
    path.write_text(to_yaml(validate(RunConfig, {**lab_with_run.sections(), "model": model}, "")))
    folder = results / "runs" / read_run_config(path).run_id
    folder.mkdir()
    shutil.move(path, folder / "config.yaml")
    rows = listed(results, capsys)
    assert len(rows) == 4 and set(rows[0]) == {*before, "model.name"}


@pytest.mark.parametrize(
    ("conditions", "statuses"),
    [
        (["trc=10"], {"stopped"}),
        (["trc=2"], {"trained", "waiting"}),
        (["trc=2", "tau!=9"], {"trained"}),
        (["model.args.t_recurrence>2"], {"stopped"}),
        (["status=waiting"], {"waiting"}),
        (["test_accuracy>=0"], {"trained"}),
        (["rctype=self", "tau<=9", "status != trained"], {"stopped", "waiting"}),
        (["rctype=full"], set()),
        (["divisive_normalization=false"], {"trained", "stopped", "waiting"}),
    ],
)
def test_runs_by_what_they_are(
    results: Path, capsys: pytest.CaptureFixture[str], conditions: list[str], statuses: set[str]
) -> None:
    assert {row["status"] for row in listed(results, capsys, "--where", *conditions)} == statuses


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("trc", "--where 'trc' is not name=value"),
        ("trcc=2", "unknown parameter 'trcc' (key --where)"),
        (
            "name=DyRCNNx2",
            "--where name: several parameters end so: model.name, data.name; write one of them",
        ),
    ],
)
def test_a_condition_that_says_nothing(results: Path, condition: str, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        chosen(list_runs(ResultPaths(results)), [RowFilter.read(condition)])
    assert sentence in str(error.value)


def test_a_run_is_deleted_with_all_that_was_made_of_it(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_id,) = (row["run_id"] for row in listed(results, capsys, "--where", "status=trained"))
    log = results / "logs" / "experiment" / "contrast" / f"{run_id}.log"
    log.parent.mkdir(parents=True)
    log.touch()
    before = {path for path in results.rglob("*") if path.is_file() and run_id not in str(path)}
    assert main(["runs", "delete", run_id, "-n", "--results", str(results)]) == 0
    assert log.exists()
    assert main(["runs", "delete", run_id[:-2], "--results", str(results)]) == 0
    assert {path for path in results.rglob("*") if path.is_file()} == before
    assert not list(results.rglob(run_id))
    assert len(listed(results, capsys)) > 0


def test_nothing_is_deleted_that_was_not_named(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--results", str(results)]
    for action in ("delete", "redo"):
        assert main(["runs", action, *options]) == 2
        assert f"name the runs to {action}: their ids, or --where" in capsys.readouterr().err
    assert main(["runs", "remove", *options]) == 2
    assert "unknown action 'remove'; " in capsys.readouterr().err
    assert main(["runs", "delete", "nothing", *options]) == 2
    assert "unknown run 'nothing'" in capsys.readouterr().err
    assert main(["runs", "delete", "--where", "trc=77", *options]) == 0
    assert "no run meets these conditions; nothing to delete" in capsys.readouterr().out
    assert len(listed(results, capsys)) == 3


def test_a_run_is_done_again(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the beginning, on the same images: the same weights, in the same bytes."""
    (run_id,) = (row["run_id"] for row in listed(results, capsys, "--where", "status=trained"))
    folder, tables = results / "runs" / run_id, results / "experiments" / "contrast" / run_id
    before = (folder / "model.safetensors").read_bytes()
    with made_from(folder / "trained.json", {"run": run_id}):  # as if it had been trained on other images
        (folder / "model.safetensors").write_bytes(b"other weights")
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"damaged")
    assert main(["runs", "redo", run_id, "--results", str(results)]) == 0
    assert (folder / "model.safetensors").read_bytes() == before
    made = {
        "responses.parquet",
        "responses.json",
        "performance.parquet",
        "metrics.parquet",
        "metrics.json",
        "summary.parquet",
    }
    assert {path.name for path in tables.iterdir()} == made
    assert f"{run_id}: done again" in capsys.readouterr().out
