"""Example tables of one to several runs, as figures get them."""

from functools import cache
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
from dynvision.analysis.accuracy import best_moments, confusions, guess_courses
from dynvision.cli.arguments import read_visualization
from dynvision.config import ExperimentConfig
from dynvision.config.measures import DEFAULT_MEASURES
from dynvision.runs import ResultPaths, run_config
from dynvision.visualization.names import compare
from dynvision.visualization.style import Style
from dynvision.visualization.tables import ExperimentTables, joined
from tests.analysis.example_tables import CONTRASTS, DURATIONS, LAYERS, N_CLASSES, SOAS, example_tables

SHIPPED = Path(__file__).parents[2] / "config" / "config_visualization.yaml"


def make_run(seed=1, model="DyRCNNx4", **args):
    return run_config(model, args, "digits", {}, {}, seed)


class Example:
    """An experiment on some runs: the tables that its figures are drawn from."""

    def __init__(
        self, configs, parameter="contrast", values=None, layers=LAYERS, focus_layer="", n_images=12,
        twin=True,
    ):  # fmt: skip
        values = values or {"contrast": CONTRASTS, "duration_ms": DURATIONS, "soa_ms": SOAS}[parameter]
        settings = {"parameter": parameter, "values": values, "recorded_ms": 80, "focus_layer": focus_layer}
        if parameter == "soa_ms":
            settings["stimulus"] = {"type": "masked"}
        self.experiment = NamedExperiment("example", ExperimentConfig(**settings))
        self.style = Style(read_visualization(SHIPPED))
        self.comparison = compare(group_runs(configs), self.style)
        parts = [
            of_run(config.run_id, parameter, tuple(values), tuple(layers), n_images, number)
            for number, config in enumerate(configs)
        ]
        tables = {name: joined([part[name] for part in parts]) for name in parts[0]}
        twins = tables.pop("twins")
        if twin:
            tables["moments"] = pd.concat([tables["moments"], twins], ignore_index=True)
        class_names = [f"class {number}" for number in range(N_CLASSES)]
        self.tables = ExperimentTables(ResultPaths(Path("results")), self.experiment, configs)
        self.tables.__dict__ |= {**tables, "class_names": class_names}  # in place of what files hold


@cache
def of_run(run_id, parameter, values, layers, n_images, number):
    """Courses and measures of one run, by the figure that shows them."""
    responses, performance = example_tables(
        run_id, "example", parameter, values, layers, n_images, tau=4.0 + number, seed=number
    )
    _, twin = example_tables(run_id, "exampleffonly", parameter, values, layers, n_images, seed=number + 50)
    return {
        "responses": response_courses(responses),
        "accuracy": accuracy_courses(performance),
        "moments": best_moments(performance).assign(network="as trained"),
        "twins": best_moments(twin).assign(network="feedforward only"),
        "guesses": guess_courses(performance),
        "confusions": confusions(performance),
        "metrics": measure_responses(responses, performance, DEFAULT_MEASURES),
    }


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
