"""Show an experiment to a network that ships, and keep its figures beside it for reports.

    python scripts/ship_experiment.py NAME EXPERIMENT [SCORECARD.csv]

SCORECARD.csv is a scorecard of the network, whose figure is then kept as well.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import pandas as pd

from dynvision.cli import main as dynvision
from dynvision.config.experiment import frozen_experiment
from dynvision.config.workflow import load_workflow_config
from dynvision.config.yaml_text import to_yaml
from dynvision.files import write_text
from dynvision.inference.finished_run import find_run
from dynvision.runs import ResultPaths
from dynvision.trained import SHIPPED_FIGURES, shipped_runs
from dynvision.visualization.save import Drawn, save_figure
from dynvision.visualization.scorecard import scorecard_caption, scorecard_figure
from dynvision.visualization.style import Style


def main(name: str, experiment: str, scorecard: str = "") -> None:
    """Run, measure, draw, copy."""
    folder = shipped_runs()[name]
    with tempfile.TemporaryDirectory() as results:
        paths = ResultPaths(Path(results))
        finished = find_run(name, paths.root)
        run_id = finished.config.run_id
        shutil.copytree(folder, paths.run(run_id), ignore=shutil.ignore_patterns("experiments"))
        frozen = paths.root / "experiments" / experiment / "config.yaml"
        chosen = load_workflow_config("config", {"experiment": experiment}).selected_experiments()[experiment]
        write_text(frozen, to_yaml(frozen_experiment(experiment, chosen)))
        made = paths.experiment(experiment, run_id)
        asked = ["--experiment", str(frozen)]
        tables = [
            "--responses",
            str(made / "responses.parquet"),
            "--performance",
            str(made / "performance.parquet"),
        ]
        network = [
            "--config",
            str(folder / "config.yaml"),
            "--weights",
            str(finished.weights),
            "--data",
            str(finished.data),
        ]
        measured = ["--output", str(made / "metrics.parquet"), "--summary", str(made / "summary.parquet")]
        figures = Path(results) / "drawn"
        drawing = ["--results", results, "--experiment", experiment, "--figures", *SHIPPED_FIGURES]
        for command in (
            ["experiment", *asked, *network, *tables],
            ["analyse", *asked, *tables, *measured],
            ["plot", *drawing, "--output-dir", str(figures)],
        ):
            if dynvision(command) != 0:
                raise SystemExit(f"dynvision {command[0]} failed")
        target = folder / "experiments" / experiment
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(frozen, target / "config.yaml")
        for figure in SHIPPED_FIGURES:
            for suffix in ("svg", "csv"):
                shutil.copyfile(figures / f"{figure}.{suffix}", target / f"{figure}.{suffix}")
    if scorecard:
        card, style = pd.read_csv(scorecard, keep_default_na=True), Style(None)
        with style.context():
            drawn = scorecard_figure(card, style)
        save_figure(Drawn("scorecard", drawn, card, scorecard_caption(card)), folder, style)
        (folder / "scorecard.png").unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
