"""``dynvision show-trial``: the printed trial, step by step, and the figure with what was drawn beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dynvision.cli import main
from dynvision.config.run import RunConfig, to_yaml
from dynvision.config.section import validate
from tests.lab import Lab
from tests.processes import BIN

TRIAL = {
    "data_presentation_pattern": "011",
    "n_timesteps": 6,
    "loss_reaction_time": 2,
    "t_idle": 4,
    "t_feedforward": 2,
    "recurrence_type": "self",
    "t_recurrence": 2,
}


def write_config(path: Path, **args: Any) -> Path:
    sections = {"model": {"name": "DyRCNNx2", "args": {**TRIAL, **args}}, "data": {"resolution": 8}}
    path.write_text(to_yaml(validate(RunConfig, sections, "")))
    return path


def test_a_trial_is_printed_step_by_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Worked out by hand: the image is on from the third of six steps; two layers delay by a step each."""
    assert main(["show-trial", "--config", str(write_config(tmp_path / "config.yaml"))]) == 0
    said = capsys.readouterr().out
    assert "idle 4 ms, presentation 12 ms, residual 4 ms; dt 2 ms" in said
    assert "pattern 011, reaction time 2 ms" in said
    lines = [" ".join(line.split()) for line in said.splitlines()[4:]]
    assert lines == [
        "-6 idle null -",
        "-4 idle null -",
        "-2 presentation null -",
        "0 presentation null -",
        "2 presentation image -",
        "4 presentation image -",
        "6 presentation image -",
        "8 presentation image of the frame at 4 ms",
        "10 residual null of the frame at 6 ms",
        "12 residual null of the frame at 8 ms",
    ]


def test_it_says_what_training_does(tmp_path: Path) -> None:
    """The printed course is the one by which a batch is scored."""
    import torch

    from dynvision.config.run import read_run_config
    from dynvision.models.build import build_model

    config = read_run_config(write_config(tmp_path / "config.yaml", shuffle_presentation_pattern=True))
    model = build_model(config, (1, 8, 8), 3)
    batch = (torch.zeros(2, 1, 8, 8), torch.tensor([0, 2]))
    orders = set()
    for number in range(12):
        course = model.trial_course(shuffle=True, batch=number)
        orders.add(course.on)
        if number == 0:
            shown = model.presentation(batch, shuffle=True)
            assert list(course.on) == shown.on
            counts = [step.scored_frame_ms is not None for step in course.steps() if step.phase != "idle"]
            assert counts == (shown.labels[1] != -1).tolist()
            assert shown.labels[1].max() == 2
    assert len(orders) == 3


def test_the_figure_shows_an_image_of_the_batch(
    trained_lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, figures = trained_lab.root / "config.yaml", tmp_path / "figures"
    options = ["--data", str(trained_lab.root / "data"), "--output", str(figures), "--batch", "2"]
    assert main(["show-trial", "--config", str(config), *options]) == 0
    assert capsys.readouterr().out.endswith(f"{figures}/trial.csv\n")
    assert sorted(path.name for path in figures.iterdir()) == ["trial.csv", "trial.png", "trial.svg"]
    table = pd.read_csv(figures / "trial.csv")
    assert table["time_ms"].tolist() == [2, 4, 6]
    assert table["sees_image"].all() and table["label_counts"].all()
    pixels = np.asarray(Image.open(figures / "trial.png").convert("L"))
    assert pixels.std() > 20  # a digit is in it


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--batch", "-1"], "--batch -1 must be 0 or more"),
        (["--data", "nowhere"], "nowhere/manifest.json is missing"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    config = write_config(tmp_path / "config.yaml")
    assert main(["show-trial", "--config", str(config), *options]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_reader_that_has_read_enough_is_no_error(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", n_timesteps=3000)
    command = f"{BIN / 'dynvision'} show-trial --config {config} | head -1; echo status ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert done.stdout.endswith("status 141\n")
