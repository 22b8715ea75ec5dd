"""Colours that stay apart, names and order."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from dynvision.cli.arguments import read_visualization
from dynvision.config import VisualizationConfig
from dynvision.config.model import RECURRENCE_TYPES
from dynvision.errors import InputError
from dynvision.visualization.style import VERDICTS, Style

# Machado, Oliveira & Fernandes (2009), IEEE TVCG 15:1291, table 1, severity 1, on linear RGB
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
]
VISIONS = {"normal": np.eye(3), "protanopia": np.array(PROTANOPIA), "deuteranopia": np.array(DEUTERANOPIA)}


def cielab(colours, vision):
    """CIE L*a*b* (D65) of hex colours as seen with a vision, (N, 3)."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ VISIONS[vision].T, 0, 1)
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.072175],
        [0.0193339, 0.119192, 0.9503041],
    ]
    xyz = seen @ np.array(to_xyz).T / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def smallest_distance(colours, vision):
    lab = cielab(colours, vision)
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return distance[np.triu_indices(len(colours), 1)].min()


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(("names", "least"), [(("V1", "V2", "V4", "IT"), 25), (RECURRENCE_TYPES, 12)])
def test_shipped_colours_stay_apart(style, vision, names, least):
    assert set(names) <= set(style.config.palette)
    assert smallest_distance([style.config.palette[name] for name in names], vision) > least


@pytest.mark.parametrize("vision", VISIONS)
def test_verdicts_stay_apart(vision):
    assert smallest_distance(list(VERDICTS.values()), vision) > 25


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("n_values", [2, 5, 8])
def test_higher_values_are_darker_for_everyone_and_all_are_visible_on_white(style, vision, n_values):
    colours = style.sequential(np.linspace(0, 1, n_values))
    lightness = cielab(colours.values(), vision)[:, 0]
    assert (np.diff(lightness) < -4).all()
    assert lightness.max() < 78


def test_a_single_value_is_dark(style):
    assert cielab(style.sequential([1.0]).values(), "normal")[0, 0] < 25


def test_layers_without_a_colour_run_from_dark_to_light(style):
    colours = style.depths([f"layer{n}" for n in range(1, 9)])
    assert (np.diff(cielab(colours.values(), "normal")[:, 0]) > 4).all()
    assert style.depths(["V1", "IT"]) == {"V1": "#004488", "IT": "#CC3311"}


def test_names_without_a_colour_get_different_ones(style):
    colours = style.colours(["full", "a", "b"])
    assert colours["full"] == style.config.palette["full"] and len(set(colours.values())) == 3
    assert len(set(style.colours([str(n) for n in range(14)]).values())) == 14


def test_order_is_configured_then_numeric_then_alphabetic():
    style = Style(VisualizationConfig(order=("V2", "V1")))
    assert style.ordered(["b", "V1", "layer10", "a", "layer2", "V2"]) == [
        "V2",
        "V1",
        "a",
        "b",
        "layer2",
        "layer10",
    ]
    assert style.ordered([10.0, 9.0, 2]) == [2, 9.0, 10.0]


def test_names(style):
    assert style.name("tau") == "τ" and style.name("without_skip") == "without skip"


def test_files_with_and_without_the_section_and_misspelt_keys(tmp_path):
    path = tmp_path / "look.yaml"
    path.write_text("dpi: 100\n")
    assert read_visualization(path).dpi == 100
    path.write_text("visualization:\n  dpi: 100\n")
    assert read_visualization(path).dpi == 100
    path.write_text("palett: {}\n")
    with pytest.raises(InputError, match="look.yaml: unknown key 'palett'.*did you mean .palette."):
        read_visualization(path)
    assert read_visualization(None) == VisualizationConfig()


def test_a_file_of_the_scorecard_alone_leaves_the_look_as_it_is(tmp_path):
    path = tmp_path / "areas.yaml"
    path.write_text("scorecard: {areas: {V1: V1}}\n")
    assert read_visualization(path) == VisualizationConfig()
    (tmp_path / "visualization.yaml").write_text("visualization: {dpi: 100}\n")
    assert read_visualization(path, tmp_path).dpi == 100


def test_one_palette_has_one_meaning(style):
    """No colour of the palette is that of two names, and values of the stimulus do not look like those of the model."""
    colours = [colour.lower() for colour in style.config.palette.values()]
    assert len(set(colours)) == len(colours)
    values = range(6)
    assert not set(style.sequential(values).values()) & set(style.graded(values).values())
    for vision in VISIONS:
        mixed = [*style.sequential((0, 1)).values(), *style.graded((0, 1)).values()]
        assert smallest_distance(mixed, vision) > 7
