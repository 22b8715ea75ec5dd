"""Networks that ship trained: each is a whole run, is what its card says, and is taken wherever a run is."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

import dynvision
from dynvision.cli import main
from dynvision.config.run import read_run_config
from dynvision.data import DataModule
from dynvision.errors import InputError
from dynvision.inference.finished_run import find_run, read_shipped
from dynvision.models.build import build_model
from dynvision.models.weights import load_run_weights
from dynvision.trained import shipped_runs
from tests.lab import Lab

SHIPPED = shipped_runs()
WITH_SCORECARD = [name for name, folder in SHIPPED.items() if (folder / "scorecard.csv").exists()]
REPOSITORY = Path(__file__).parents[2]
script = importlib.util.spec_from_file_location("ship_run", REPOSITORY / "scripts" / "ship_run.py")
assert script is not None and script.loader is not None
ship_run = importlib.util.module_from_spec(script)
script.loader.exec_module(ship_run)


def test_there_are_some() -> None:
    assert "cortical" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_the_command_on_the_card_trains_this_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    shipped = read_shipped(name)
    run = ship_run.run_of_command(shipped.command)
    assert shipped.config == run and shipped.config.run_id == run.run_id
    assert f"`{run.run_id}`" in (SHIPPED[name] / "README.md").read_text()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_weights_answer_as_the_card_says(name: str, tmp_path: Path) -> None:
    finished = find_run(name, tmp_path)
    data = DataModule(finished.data, finished.config.data, batch_size=60, loader="memory", seed=1)
    model = build_model(finished.config, data.input_shape, data.n_classes)
    load_run_weights(model, finished.weights, finished.config.run_id)
    model.eval()
    right = []
    with torch.no_grad():
        for images, labels in data.test_dataloader():
            right += (model(images)[:, -1].argmax(dim=-1) == labels).tolist()
    said = json.loads((SHIPPED[name] / "test.json").read_text())
    assert len(right) == said["n_images"]
    assert abs(sum(right) / len(right) - said["test_accuracy"]) <= 0.003
    shown = f"{100 * said['test_accuracy']:.1f} % of {said['n_images']}"
    assert shown in (SHIPPED[name] / "README.md").read_text()


def test_a_page_lists_what_ships(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--trained", "--check", str(REPOSITORY / "docs" / "models.md")]) == 0
    assert main(["models", "--trained"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(SHIPPED)
    page = tmp_path / "page.md"
    page.write_text((REPOSITORY / "docs" / "models.md").read_text().replace("96.7 % of 359", "99.9 % of 359"))
    assert main(["models", "--trained", "--check", str(page)]) == 2
    said = capsys.readouterr().err
    assert "not true of cortical" in said and "run 'dynvision models --trained --update" in said
    assert main(["models", "--trained", "DyRCNNx4"]) == 2
    assert "unknown trained network 'DyRCNNx4'" in capsys.readouterr().err


@pytest.mark.parametrize("name", SHIPPED)
def test_a_network_is_loaded_by_its_name(name: str) -> None:
    model = dynvision.load(name, device="cpu").model
    page = (REPOSITORY / "docs" / "models.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` | ")]
    assert f"| {sum(p.numel() for p in model.parameters()):,} |" in row


def test_a_network_is_shipped_with_the_command_that_trains_it(
    trained_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(ship_run, "TRAINED", tmp_path / "trained")
    (tmp_path / "trained").mkdir()
    run = shutil.copytree(trained_lab.root / "run", tmp_path / "run")
    shutil.copy(trained_lab.root / "config.yaml", run)
    sections = trained_lab.sections()
    values = {
        "model_name": sections["model"]["name"],
        "model_args": sections["model"]["args"],
        "data_name": sections["data"].pop("name"),
        "data": sections["data"],
        "training": sections["training"],
    }
    given = [
        f"{name}={json.dumps(value) if isinstance(value, dict) else value}" for name, value in values.items()
    ]
    command = shlex.join(["snakemake", "--config", *given])
    for wrong, said in ((f"{command} seed=2", "not DyRCNNx2_"), ("make it", "must be snakemake --config")):
        with pytest.raises(InputError, match=said):
            ship_run.main(str(run), "small", wrong)
    assert not list((tmp_path / "trained").iterdir())
    ship_run.main(str(run), "small", command)
    shipped = tmp_path / "trained" / "small"
    assert {path.name for path in shipped.iterdir()} == {
        "README.md",
        "config.yaml",
        "model.safetensors",
        "test.json",
    }
    (on_card,) = re.findall(r"Trained by `(.+?)`;", (shipped / "README.md").read_text())
    assert ship_run.run_of_command(on_card) == read_run_config(shipped / "config.yaml")


@pytest.mark.parametrize("name", WITH_SCORECARD)
def test_the_card_says_what_the_scorecard_has(name: str) -> None:
    card = pd.read_csv(SHIPPED[name] / "scorecard.csv")
    signs = card[card["kind"] == "sign"]
    times = card[(card["unit"] == "ms") & card["area"].isin(["V1-V3", "VOTC", "LOTC"])]["distance"].dropna()
    text = (SHIPPED[name] / "README.md").read_text()
    assert f"{(signs['verdict'] == 'yes').sum()} of {len(signs)} signs" in text
    assert f"{times.median():.2f} octaves in the median ({len(times)} times)" in text


def test_a_name_that_is_none_of_them_is_told_which_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scorecard", "cortcal", "--results", str(tmp_path)]) == 2
    assert "none of those that ship (" + ", ".join(SHIPPED) + ")" in capsys.readouterr().err
