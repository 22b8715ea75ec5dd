"""Figures of the dynamics of runs, from tables with the columns that `dynvision dynamics` writes."""

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis import group_runs
from dynvision.cli import main
from dynvision.config import to_yaml
from dynvision.config.visualization import DYNAMICS_FIGURES as NAMES
from dynvision.config.visualization import FIGURES
from dynvision.runs import ResultPaths
from dynvision.visualization.names import compare
from dynvision.visualization.spectrum import spectrum_caption

LAYERS = ("V1", "V2", "IT")


def spectrum(number):
    rows = []
    for layer in LAYERS:
        for point in ("stimulus", "all_active"):
            for rank, angle in enumerate((0.0, 0.7, -0.7)):
                modulus = 0.9 - 0.1 * rank + 0.02 * number + (0.05 if point == "all_active" else 0)
                value = modulus * np.exp(1j * angle)
                rows.append((layer, point, rank, value.real, value.imag, modulus, -2 / np.log(modulus)))
    columns = ["layer", "point", "rank", "real", "imag", "modulus", "time_constant_ms"]
    return pd.DataFrame(rows, columns=columns)


def timescales(number):
    return pd.DataFrame(
        {
            "layer": LAYERS,
            "stimulus_ms": [10.0 + number, 20.0 + number, 30.0 + number],
            "autocorrelation_ms": [4.0, 6.0, 8.0],
            "spectral_radius": [0.8, 0.9, 1.1],
        }
    )


def trajectories(number):
    parts = []
    for layer in LAYERS:
        for image in range(3):
            for component in (1, 2, 3):
                time = np.arange(-4.0, 20.0, 2.0)
                part = pd.DataFrame({"time_ms": time, "score": component * np.tanh(time / 9) + image})
                about = {"layer": layer, "image": image, "label": image % 2, "component": component}
                parts.append(
                    part.assign(**about, explained=0.5 / component, stimulus_on=(time >= 0) & (time < 10))
                )
    return pd.concat(parts, ignore_index=True)


def unrolling(number):
    parts = []
    for place, layer in enumerate(LAYERS):
        time = np.arange(4.0 * place, 40.0, 2.0)
        response = 1 - np.exp(-(time - 4.0 * place) / 8)
        part = pd.DataFrame({"time_ms": time, "biological": response, "engineering": response})
        parts.append(part.assign(layer=layer, shift_ms=4.0 * place, largest_difference=1e-15))
    return pd.concat(parts, ignore_index=True)


TABLES = {
    "spectrum": spectrum,
    "timescales": timescales,
    "trajectories": trajectories,
    "unrolling": unrolling,
}


@pytest.fixture
def results(tmp_path, run):
    """A results folder with the dynamics of three runs, two of them of one condition."""
    paths = ResultPaths(tmp_path / "results")
    configs = [run(), run(2), run(tau=9.0)]
    for number, config in enumerate(configs):
        folder = paths.run(config.run_id)
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(to_yaml(config))
        place = paths.root / "dynamics" / config.run_id
        place.mkdir(parents=True)
        for name, make in TABLES.items():
            make(number).assign(run_id=config.run_id).to_parquet(place / f"{name}.parquet")
    return paths, configs


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_drawn_from_its_table(results, style, name):
    paths, configs = results
    drawn = FIGURES[name](paths, configs, compare(group_runs(configs), style), style)
    assert drawn.name == name
    panels = [axes for axes in drawn.figure.axes if axes.axison]
    assert len(panels) == {"spectrum": 6, "timescales": 3, "trajectories": 3, "unrolling": 3}[name]
    assert set(TABLES) == set(NAMES)


def test_eigenvalues_are_where_they_belong(results, style):
    paths, configs = results
    drawn = FIGURES["spectrum"](paths, configs, compare(group_runs(configs), style), style)
    points = {tuple(point) for axes in drawn.figure.axes for line in axes.lines if line.get_marker() != "None"
              for point in line.get_xydata()}  # fmt: skip
    assert points == set(drawn.table[["real", "imag"]].itertuples(index=False, name=None))
    for axes in drawn.figure.axes:
        (circle,) = axes.patches
        assert circle.get_radius() == 1 and axes.get_xlim() == axes.get_ylim()
    assert "is not stable" not in drawn.caption and "stable" in drawn.caption
    table = drawn.table.assign(modulus=1.2)
    assert "1.2: that layer alone is not stable" in spectrum_caption(table)


def test_time_constants_are_means_over_seeds(results, style):
    paths, configs = results
    table = FIGURES["timescales"](paths, configs, compare(group_runs(configs), style), style).table
    rows = table[(table["quantity"] == "stimulus_ms") & (table["condition"] == "τ = 5 ms")].set_index("layer")
    assert rows.loc["V1", ["mean", "low", "high"]].tolist() == [10.5, 10.0, 11.0]


def test_the_command(results, capsys):
    paths, configs = results
    assert main(["plot", "--dynamics", "--results", str(paths.root)]) == 0
    written = {path.name for path in paths.figures("dynamics").iterdir()}
    drawn = ("spectrum", "timescales", "trajectories")  # unrollings are drawn on request
    figures = {f"{name}.{kind}" for name in drawn for kind in ("png", "svg", "csv")}
    assert written == {*figures, "figures.json"}  # which says what they were made from
    empty = paths.root / "dynamics" / configs[0].run_id / "unrolling.parquet"
    unrolling(0).assign(run_id=configs[0].run_id).iloc[:0].to_parquet(empty)
    assert main(["plot", "--dynamics", "--results", str(paths.root), "--figures", "unrolling"]) == 2
    assert "has no engineering time to draw" in capsys.readouterr().err
    empty.unlink()
    assert main(["plot", "--dynamics", "--results", str(paths.root), "--figures", "unrolling"]) == 2
    assert "does not exist; run dynvision dynamics first" in capsys.readouterr().err


def test_trajectories_name_the_classes(results, style):
    paths, configs = results
    manifest = paths.data(configs[0].data_id) / "manifest.json"
    drawn = FIGURES["trajectories"](paths, configs, compare(group_runs(configs), style), style)
    assert [text.get_text() for text in drawn.figure.legends[0].get_texts()][:2] == ["class 0", "class 1"]
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"class_names": ["cat", "dog"]}')
    drawn = FIGURES["trajectories"](paths, configs, compare(group_runs(configs), style), style)
    assert [text.get_text() for text in drawn.figure.legends[0].get_texts()][:2] == ["cat", "dog"]
