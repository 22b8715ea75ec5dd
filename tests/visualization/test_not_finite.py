"""An experiment in which the activity of a network explodes is drawn with what is left of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import tests.visualization.conftest as conftest
from dynvision.config.visualization import EXPERIMENT_FIGURES, FIGURES, SWEEP_FIGURES
from dynvision.visualization.save import save_figure
from tests.analysis.example_tables import example_tables

OF_EXPERIMENTS = (*EXPERIMENT_FIGURES, *SWEEP_FIGURES)


def exploding(from_ms: float, layers: tuple[str, ...]) -> Any:
    """Example tables whose numbers end at a time, in some layers and in the outputs."""

    def tables(*args: Any, **kwargs: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        responses, performance = example_tables(*args, **kwargs)
        gone = (responses["time_ms"] >= from_ms) & responses["layer"].isin(layers)
        responses.loc[gone, ["mean", "sd"]] = np.nan
        late = performance["time_ms"] >= from_ms
        performance.loc[late, ["confidence", "label_confidence"]] = np.nan
        performance.loc[late, "guess"] = -1
        performance.loc[late, "correct"] = False
        return responses, performance

    return tables


@pytest.mark.parametrize("name", OF_EXPERIMENTS)
@pytest.mark.parametrize("from_ms", [20.0, -100.0])
def test_figures_of_an_exploding_network(
    name: str, from_ms: float, run: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = ("V4", "IT") if from_ms > 0 else ("V1", "V2", "V4", "IT")
    monkeypatch.setattr(conftest, "example_tables", exploding(from_ms, layers))
    monkeypatch.setattr(conftest, "of_run", conftest.of_run.__wrapped__)
    made = conftest.Example([run(tau=tau) for tau in (5.0, 9.0)])
    drawn = FIGURES[name](made.tables, made.comparison, made.style)
    paths = save_figure(drawn, tmp_path, made.style)
    assert all(path.stat().st_size for path in paths)
    assert -1 not in set(drawn.table.get("guess", pd.Series([0])))
