"""Files of a figure: whole, equal for equal figures, text as text."""

import re
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageChops

from dynvision.config.visualization import EXPERIMENT_FIGURES, FIGURES, SWEEP_FIGURES
from dynvision.visualization.save import PADDING, Drawn, save_figure
from dynvision.visualization.style import Style

OF_EXPERIMENTS = (*EXPERIMENT_FIGURES, *SWEEP_FIGURES)


@pytest.fixture(scope="module")
def saved(example, run, tmp_path_factory):
    folders = []
    for _ in range(2):
        made = example([run(), run(tau=9.0)], "duration_ms", values=(4.0, 8.0, 16.0), n_images=5)
        folder = tmp_path_factory.mktemp("figures")
        for draw in map(FIGURES.__getitem__, OF_EXPERIMENTS):
            save_figure(draw(made.tables, made.comparison, made.style), folder, made.style)
        folders.append(folder)
    return folders


def test_equal_figures_give_equal_bytes(saved):
    names = sorted(path.name for path in saved[0].iterdir())
    assert names == sorted(f"{name}.{kind}" for name in OF_EXPERIMENTS for kind in ("png", "svg", "csv"))
    for name in names:
        assert (saved[0] / name).read_bytes() == (saved[1] / name).read_bytes(), name


@pytest.mark.parametrize("name", OF_EXPERIMENTS)
def test_text_in_svg_is_text(saved, name):
    tree = ElementTree.parse(saved[0] / f"{name}.svg")
    texts = {"".join(element.itertext()) for element in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert texts & {"duration (ms)", "duration 16", "class 1", "class guessed"}
    assert texts & {"time from stimulus onset (ms)", "time to peak", "peak accuracy", "class shown"}
    content = (saved[0] / f"{name}.svg").read_text()
    assert not re.search(r"<use[^>]*glyph|DejaVuSans-", content)  # no letters as outlines
    assert "http" not in re.sub(
        r'(xmlns(:\w+)?|rdf:\w+|xlink:href)="http[^"]*"|"http://www.w3.org[^"]*"', "", content
    )


def test_png_has_the_configured_resolution_and_the_caption(saved):
    with Image.open(saved[0] / "responses.png") as image:
        assert image.info["dpi"][0] == pytest.approx(150, abs=0.1)
        assert "Responses of the layers" in image.info["Description"]
        assert "Software" not in image.info


def test_csv_says_what_bands_are(saved):
    table = pd.read_csv(saved[0] / "measures.csv")
    assert set(table["band"]) == {"95 % interval over images"} and set(table["n_images"]) == {5}
    assert set(table["parameter"]) == {"duration_ms"}


@pytest.mark.parametrize("layout", ["constrained", "compressed", "tight", "none"])
def test_nothing_is_cut_off_whatever_lays_a_figure_out(layout, tmp_path):
    style = Style()
    with style.context():
        figure = Figure(figsize=(3, 2.4), layout=layout)
        axes = figure.subplots(1, 2)
        axes[0].plot([10, 20], [18, 34], "o-")
        axes[0].set(xlabel="duration (ms)", ylabel="width at half height (ms)", title="an early layer")
    save_figure(Drawn("width", figure, pd.DataFrame(), ""), tmp_path, style)
    with Image.open(tmp_path / "width.png") as image:
        shown = image.convert("RGB")
    left, top, right, bottom = ImageChops.invert(shown).getbbox()
    margins = (left, top, shown.width - right, shown.height - bottom)
    px = PADDING * style.config.dpi
    assert margins == pytest.approx([px] * 4, abs=5)  # the width of glyphs depends on the resolution
