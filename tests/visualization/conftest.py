"""Example tables of one to several runs, as figures get them."""

from pathlib import Path

import pandas as pd
import pytest

from dynvision.analysis import (
    NamedExperiment,
    accuracy_courses,
    group_runs,
    measure_responses,
    response_courses,
)
from dynvision.config import ExperimentConfig
from dynvision.runs import run_config
from dynvision.visualization.comparison import compare
from dynvision.visualization.config_file import read_visualization
from dynvision.visualization.style import Style
from tests.analysis.example_tables import CONTRASTS, DURATIONS, LAYERS, example_tables

SHIPPED = Path(__file__).parents[2] / "config" / "config_visualization.yaml"


def make_run(seed=1, model="DyRCNNx4", **args):
    return run_config(model, args, "digits", {}, {}, seed)


class Example:
    """An experiment on some runs: the tables that its figures are drawn from."""

    def __init__(
        self, configs, parameter="contrast", values=None, layers=LAYERS, focus_layer="", n_images=12
    ):
        values = values or {"contrast": CONTRASTS, "duration_ms": DURATIONS}[parameter]
        settings = {"parameter": parameter, "values": values, "recorded_ms": 80, "focus_layer": focus_layer}
        self.experiment = NamedExperiment("example", ExperimentConfig(**settings))
        self.style = Style(read_visualization(SHIPPED))
        self.comparison = compare(group_runs(configs), self.style)
        parts = {"responses": [], "measures": [], "performance": []}
        for number, config in enumerate(configs):
            responses, performance = example_tables(
                config.run_id, "example", parameter, values, layers, n_images, tau=4.0 + number, seed=number
            )
            parts["responses"].append(response_courses(responses))
            parts["performance"].append(accuracy_courses(performance))
            parts["measures"].append(
                measure_responses(responses, performance, self.experiment.config.measures)
            )
        self.tables = {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}


@pytest.fixture(scope="session")
def run():
    """Makes a run's configuration."""
    return make_run


@pytest.fixture(scope="session")
def example():
    """Makes an example from configurations."""
    return Example


@pytest.fixture(scope="session")
def style():
    """The shipped look."""
    return Style(read_visualization(SHIPPED))
