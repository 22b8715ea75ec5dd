"""The page on experiments has a table of all of them, as they are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.section import validate
from dynvision.config.workflow import load_workflow_config
from dynvision.experiments.tables import PERFORMANCE, RESPONSES
from dynvision.noise import NOISES
from dynvision.noise.blend import NoiseConfig
from dynvision.stimuli import STIMULI

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")


def row(name: str, experiment: ExperimentConfig) -> str:
    """The row of an experiment."""
    stimulus = experiment.stimulus.model_dump()
    given = [
        f"{key} {value:g}"
        for key, value in stimulus.items()
        if isinstance(value, (int, float)) and key != experiment.parameter
    ]
    shown = f"{stimulus['type']}: {', '.join(given)}"
    if experiment.noise.type != "none":
        how = f"new every {experiment.noise.refresh_ms:g} ms" if experiment.noise.refresh_ms else "static"
        shown += f"; {experiment.noise.type} noise, {experiment.noise.definition}, {how}"
    values = ", ".join(
        str(value).lower() if isinstance(value, bool) else f"{value:g}" for value in experiment.values
    )
    settings = ", ".join(f"{key} {str(value).lower()}" for key, value in experiment.model_args.items())
    record = f"{0 - experiment.baseline_ms:g} to {experiment.recorded_ms:g}"
    return f"| `{name}` | {shown} | `{experiment.parameter}`: {values} | {record} | {settings} |"


def table() -> str:
    """The table of all experiments."""
    experiments = load_workflow_config(ROOT / "config").experiments
    head = ["| experiment | stimulus | what varies | recorded, ms | model |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(row(name, experiment) for name, experiment in experiments.items())])


def test_the_table_is_that_of_the_configuration() -> None:
    assert table() in PAGE, f"put this table into docs/experiments.md:\n\n{table()}"


def test_stimuli_noise_and_columns_are_on_the_page() -> None:
    columns = {*RESPONSES.names, *PERFORMANCE.names}
    for name in (*STIMULI, *NOISES, *columns):
        assert f"`{name}`" in PAGE, name
    for name in NoiseConfig.model_fields:
        assert f"`{name}" in PAGE or f"noise.{name}" in PAGE, name


def test_the_film_on_the_page_is_an_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"\n((?:    .*\n)*    film:\n(?:    .*\n)+)", PAGE)
    monkeypatch.chdir(tmp_path)
    np.save("film.npy", np.zeros((10, 8, 8), np.uint8))  # 10 frames of 25 Hz are 400 ms
    experiment = validate(ExperimentConfig, yaml.safe_load(block)["film"], "film")
    assert [span.content.shown for span in experiment.trial(1.0)] == ["blank", "film", "blank"]
