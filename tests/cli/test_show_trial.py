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
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.workflow import load_workflow_config
from dynvision.config.yaml_text import to_yaml
from dynvision.stimuli import STIMULI, Span, Stimulus
from tests.lab import Lab
from tests.processes import BIN

CONFIG_DIR = str(Path(__file__).parents[2] / "config")
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
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.endswith("status 141\n")


def shown_parts(said: str) -> list[tuple[str, ...]]:
    return [
        tuple(line.split()) for line in said.splitlines()[3:] if line.strip() and not line.startswith("/")
    ]


def test_the_trials_of_an_experiment_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--config", str(write_config(tmp_path / "config.yaml")), "--config-dir", CONFIG_DIR]
    assert main(["show-trial", *options, "--experiment", "masking"]) == 0
    parts = shown_parts(capsys.readouterr().out)
    assert [part for part in parts if part[0] == "40"] == [
        ("40", "-10", "0", "blank", "-"),
        ("40", "0", "16", "image", "1"),
        ("40", "16", "40", "blank", "-"),
        ("40", "40", "100", "mask", "1"),
        ("40", "100", "300", "blank", "-"),
    ]
    assert [part[3] for part in parts if part[0] == "300"] == ["blank", "image", "blank"]
    assert main(["show-trial", *options, "--experiment", "maskin"]) == 2
    assert "unknown experiment 'maskin'" in capsys.readouterr().err


def test_nothing_has_to_be_run_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--config`` it is the first run of the workflow's configuration, with the values that are given."""
    of_dir, figures = ("--config-dir", CONFIG_DIR), tmp_path / "figures"
    assert main(["show-trial", "model_args={t_idle: 4, n_timesteps: 6}", *of_dir]) == 0
    said = capsys.readouterr().out
    assert said.startswith("DyRCNNx4_digits_s1_") and "idle 4 ms, presentation 12 ms" in said
    mine = "experiments={mine: {parameter: duration_ms, values: [4, 8], recorded_ms: 20, baseline_ms: 2}}"
    options = ["--experiment", "mine", "--output", str(figures)]
    assert main(["show-trial", mine, "model_args={dt: 1}", *options, *of_dir]) == 0
    assert "mine: duration_ms 4, 8; -2 to 20 ms, dt 1 ms" in capsys.readouterr().out
    assert pd.read_csv(figures / "trials.csv")["end_ms"].max() == 20
    assert main(["show-trial", "seed=2", "--config", str(write_config(tmp_path / "config.yaml"))]) == 2
    assert "seed=2 changes nothing beside --config" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["contrast", "interval", "masking", "poissonnoise", "rsvp", "flicker", "clutter"]
)
def test_the_trials_of_an_experiment_are_drawn(
    name: str, trained_lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each picture is what the experiment shows: the first test image at its contrast, the null input where it is blank."""
    config, figures = trained_lab.root / "config.yaml", tmp_path / "figures"
    options = ["--data", str(trained_lab.root / "data"), "--output", str(figures), "--config-dir", CONFIG_DIR]
    assert main(["show-trial", "--config", str(config), "--experiment", name, *options]) == 0
    assert capsys.readouterr().out.endswith(f"{figures}/trials.csv\n")
    table = pd.read_csv(figures / "trials.csv")
    experiment = load_workflow_config(CONFIG_DIR).experiments[name]
    assert sorted(table["value"].unique()) == sorted(experiment.values)
    for _, row in table.groupby("value"):
        assert row["start_ms"].iloc[0] == -experiment.baseline_ms
        assert row["end_ms"].iloc[-1] == experiment.recorded_ms
        if name not in ("flicker", "poissonnoise"):  # of which some pictures are shown
            assert (row["start_ms"].to_numpy()[1:] == row["end_ms"].to_numpy()[:-1]).all()
    assert table.loc[table["shown"] == "blank", "mean_pixel"].nunique() <= 1
    assert np.asarray(Image.open(figures / "trials.png").convert("L")).std() > 20
    if name == "contrast":
        images = table[table["shown"] == "image"].set_index("contrast")["mean_pixel"]
        grey = images[1.0] - (images[1.0] - images[0.1]) / 0.9  # linear in contrast about the mean grey
        assert images.to_numpy() == pytest.approx(
            grey + images.index.to_numpy() * (images[1.0] - grey), abs=1e-5
        )
    if name == "flicker":  # at 4 Hz contrast turns every 125 ms, between 0 and 1
        four = table[(table["value"] == 4) & (table["shown"] == "image")]
        assert four["start_ms"].to_numpy() == pytest.approx([0, 125, 250, 375, 500], abs=2)
        assert four["contrast"].to_numpy() == pytest.approx([0, 1, 0, 1, 0], abs=1e-3)
    if name == "rsvp":
        assert (table[table["value"] == 13]["shown"].tolist()[1:6]) == [
            "other",
            "other",
            "image",
            "other",
            "other",
        ]


def test_a_stimulus_of_one_s_own_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A frozen experiment with a stimulus from outside the package, which has no words of its own."""

    class Ramp(Stimulus):
        type: str = "ramp"
        rise_ms: float = 6.0

        def spans(self) -> tuple[Span, ...]:
            return tuple(
                Span(2.0, "image", self.contrast * (k + 1) / 3) for k in range(round(self.rise_ms / 2))
            )

    STIMULI.add("ramp", Ramp)
    try:
        values = {"stimulus": {"type": "ramp"}, "parameter": "rise_ms", "values": [2, 6], "recorded_ms": 20}
        frozen = tmp_path / "mine.yaml"
        frozen.write_text(
            to_yaml({"name": "mine", **validate(ExperimentConfig, values, "").model_dump(mode="json")})
        )
        options = [
            "--config",
            str(write_config(tmp_path / "config.yaml")),
            "--output",
            str(tmp_path / "figures"),
        ]
        assert main(["show-trial", *options, "--experiment", str(frozen)]) == 0
        table = pd.read_csv(tmp_path / "figures" / "trials.csv")
        assert table.loc[
            (table["value"] == 6) & (table["shown"] == "image"), "contrast"
        ].tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    finally:
        STIMULI.remove("ramp")
