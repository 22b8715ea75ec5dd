"""Networks that ship trained: each is a whole run, is what its card says, and is taken wherever a run is."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from dynvision.cli import main
from dynvision.config.run import read_run_config
from dynvision.data import DataModule
from dynvision.inference.finished_run import find_run
from dynvision.models.build import build_model
from dynvision.models.weights import load_run_weights
from dynvision.runs import plan_workflow
from dynvision.trained import shipped_runs

SHIPPED = shipped_runs()
MODES = {"cortical": {"mode": "cortical"}}  # the configuration that trains each


def test_there_are_some() -> None:
    assert set(SHIPPED) == set(MODES)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_command_on_the_card_trains_this_run(name: str) -> None:
    (run,) = plan_workflow("config", MODES[name]).runs.values()
    frozen = read_run_config(SHIPPED[name] / "config.yaml")
    assert frozen == run and frozen.run_id == run.run_id
    assert f"`{run.run_id}`" in (SHIPPED[name] / "README.md").read_text()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_weights_answer_as_the_card_says(name: str, tmp_path: Path) -> None:
    finished = find_run(name, tmp_path)
    data = DataModule(finished.data, finished.config.data, batch_size=60, loader="memory", seed=1)
    model = build_model(finished.config, data.input_shape, data.n_classes)
    load_run_weights(model, finished.weights, finished.config.run_id)
    model.eval()
    images, labels = next(iter(data.test_dataloader()))
    with torch.no_grad():
        right = (model(images)[:, -1].argmax(dim=-1) == labels).float().mean().item()
    said = json.loads((SHIPPED[name] / "test.json").read_text())
    assert (
        f"{100 * said['test_accuracy']:.1f} % of {said['n_images']}"
        in (SHIPPED[name] / "README.md").read_text()
    )
    assert round(60 * right) in (55, 56, 57)  # of the first 60 images; 56 where it was counted


@pytest.mark.parametrize("name", SHIPPED)
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
    assert "none of those that ship (cortical)" in capsys.readouterr().err
