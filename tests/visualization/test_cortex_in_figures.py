"""Cortex stands beside experiments of its own protocol only, by the scorecard's mapping, and on the same axes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis import NamedExperiment
from dynvision.cli import main
from dynvision.cli.arguments import read_scorecard, read_visualization
from dynvision.config.measures import ScorecardConfig
from dynvision.config.visualization import FIGURES
from dynvision.config.workflow import load_workflow_config
from dynvision.visualization.style import Style

SHIPPED = Path(__file__).parents[2] / "config"
CONTRASTS = (0.0625, 0.125, 0.25, 0.5, 1.0)
SCORECARD = load_workflow_config(SHIPPED).scorecard


@pytest.fixture
def drawn(example, run, style):
    """Draws the dynamics of an example under some name, in some layer, with its time to peak."""

    def draw(name, layer, values=CONTRASTS, scorecard=SCORECARD):
        made = example([run()], values=values, focus_layer=layer, n_images=4)
        metrics = made.tables.metrics
        times = metrics[metrics["measure"] == "peak"].assign(measure="time_to_peak_ms", mean=30.0)
        made.tables.metrics = pd.concat(
            [metrics.astype({"measure": str}), times.assign(ci_low=20.0, ci_high=40.0)]
        )
        config = made.experiment.config.model_copy(update={"measures": ("time_to_peak_ms", "peak")})
        made.tables.experiment = NamedExperiment(name, config)
        look = Style(style.config, scorecard)
        return FIGURES["dynamics"](made.tables, made.comparison, look)

    return draw


def panels(figure):
    return [axes for axes in figure.axes if axes.axison]


def test_cortex_stands_beside_its_protocol_in_the_areas_of_the_layer(drawn):
    figure = drawn("contrast_ecog", "V1")
    cortex = figure.table[figure.table["condition"] == "cortex"]
    assert set(cortex["layer"]) == {"V1"} and len(cortex) == 5
    network, beside = panels(figure.figure)[2:]
    assert network.get_xlim() == beside.get_xlim() and network.get_ylim() == beside.get_ylim()
    assert network.get_xscale() == beside.get_xscale() == "log"
    assert list(network.get_xticks()) == list(beside.get_xticks())
    assert network.get_ylim()[1] > 220  # of cortex at the lowest contrast
    assert "Groen" in figure.caption


@pytest.mark.parametrize(
    ("name", "layer", "scorecard"),
    [
        ("contrast", "V1", SCORECARD),  # pulses of 40 ms are another protocol
        ("contrast_ecog", "V4", SCORECARD),  # no time to peak is known of V4 or VOTC at several contrasts
        ("contrast_ecog", "V1", ScorecardConfig()),  # nothing says that it is the protocol
    ],
)
def test_cortex_stands_beside_nothing_else(drawn, name, layer, scorecard):
    figure = drawn(name, layer, scorecard=scorecard)
    assert len(panels(figure.figure)) == 3 and "cortex" not in set(figure.table["condition"])


def test_the_workflow_leaves_the_mapping_with_the_look(tmp_path):
    frozen = tmp_path / "visualization.yaml"
    values = load_workflow_config(SHIPPED).model_dump_json(include={"visualization", "scorecard"})
    assert main(["config", "freeze-visualization", values, "--output", str(frozen)]) == 0
    assert read_scorecard(None, tmp_path) == SCORECARD
    assert read_visualization(None, tmp_path) == load_workflow_config(SHIPPED).visualization
    assert read_scorecard(SHIPPED / "config_visualization.yaml", tmp_path) == SCORECARD  # says nothing of it
    assert read_scorecard(SHIPPED / "config_visualization.yaml") == ScorecardConfig()
    assert np.all([SCORECARD.protocol_of(name) for name in SCORECARD.experiments.values()])
    assert SCORECARD.protocol_of("contrast") == ""
