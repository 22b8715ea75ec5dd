"""`make gallery`: each figure with its command, and what is missing with the command that computes it."""

from __future__ import annotations

import argparse
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dynvision.cli import find_command
from dynvision.config.visualization import DYNAMICS_FIGURES, EXPERIMENT_FIGURES, RUN_FIGURES, SWEEP_FIGURES
from dynvision.visualization.scorecard import draw_curve, scorecard_figure
from dynvision.visualization.style import Style

ROOT = Path(__file__).parents[2]
ALL = {*EXPERIMENT_FIGURES, *SWEEP_FIGURES, *RUN_FIGURES, *DYNAMICS_FIGURES}


@pytest.fixture
def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "scripts" / "gallery.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plot_some(arguments: list[str]) -> int:
    """Stand for `dynvision plot`: results that have everything but the dynamics."""
    parser = argparse.ArgumentParser()
    find_command("plot").add_arguments(parser)
    given = parser.parse_args(arguments[1:])
    if given.dynamics:
        return 2
    [name] = given.figures
    caption = PngInfo()
    caption.add_text("Description", f"Caption of {name}.")
    Image.new("RGB", (4, 4)).save(given.output_dir / f"{name}.png", pnginfo=caption)
    return 0


def test_what_is_there_is_drawn_and_the_rest_is_listed(
    gallery: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results" / "experiments" / "contrast").mkdir(parents=True)
    monkeypatch.setattr(gallery, "dynvision", plot_some)
    monkeypatch.setattr(
        "sys.argv", ["gallery", "--results", str(tmp_path / "results"), "--docs", str(tmp_path)]
    )
    gallery.main()
    text = (tmp_path / "gallery.md").read_text(encoding="utf-8")
    for name in ALL - {*DYNAMICS_FIGURES}:
        assert f"(figures/gallery/{name}.png)" in text and f"Caption of {name}." in text
        assert (tmp_path / "figures" / "gallery" / f"{name}.png").exists()
        assert f"    {gallery.commands('contrast')[name]}\n" in text
    for name in ("cortical", "beside-cortex"):
        with Image.open(tmp_path / "figures" / f"{name}.png") as picture:
            assert picture.info["Description"].startswith("Scorecard of DyRCNNx4_digits_s1_")
    for name in DYNAMICS_FIGURES:
        assert f"| `{name}` | {DYNAMICS_FIGURES[name]} | `snakemake dynamics` |" in text
        assert not (tmp_path / "figures" / "gallery" / f"{name}.png").exists()


def test_without_results_the_demo_is_named(
    gallery: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gallery", "--results", str(tmp_path), "--docs", str(tmp_path)])
    with pytest.raises(SystemExit):
        gallery.main()
    assert "run 'make demo' first" in capsys.readouterr().err
    assert not (tmp_path / "gallery.md").exists()


def test_the_gallery_of_the_site_has_figures_that_are_drawn(gallery: ModuleType) -> None:
    text = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    shown = {*re.findall(r"^## ([a-z]+)$", text, re.MULTILINE)}
    assert {"responses", "dynamics", "measures", "performance", "training"} <= shown <= ALL
    assert {*gallery.commands("contrast")} == ALL
    for name in shown:
        assert (ROOT / "docs" / "figures" / "gallery" / f"{name}.png").exists()


def test_each_area_of_cortex_has_a_mark_of_its_own(gallery: ModuleType) -> None:
    """Areas and observers are distinguished by their marks; rows without a value are named."""
    card = gallery.shipped_scorecard()
    figure = scorecard_figure(card, Style())
    [legend] = figure.legends
    handles = [line for line in legend.get_lines() if not str(line.get_label()).endswith("network")]
    marks = [line.get_marker() for line in handles]
    assert len({*marks}) == len(marks) == card["area"].nunique() >= 7 and "o" not in marks
    single = card[(card["kind"] == "number") & card["model"].isna() & card["value"].isna()]
    written = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert written.count(" no value") == len(single) > 0


def test_the_band_of_cortex_is_inside_of_the_axes(gallery: ModuleType) -> None:
    card = gallery.shipped_scorecard()
    numbers = card[(card["name"] == "time_to_peak_ms") & (card["protocol"] == "contrast")]
    axes = Figure().add_subplot()
    draw_curve(axes, numbers, {"V1": "black"}, {"V1": "s"})
    assert numbers["cortex_high"].max() > 1.08 * numbers["cortex"].max()
    assert axes.get_ylim()[1] >= numbers["cortex_high"].max()
