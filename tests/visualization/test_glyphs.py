"""Names in any script: an installed font that has the characters, or else numbers, with one note."""

import warnings

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

from dynvision.config.visualization import FIGURES
from dynvision.visualization import save as glyphs
from dynvision.visualization.save import save_figure

CLASSES = [
    "\u732b",
    "\u72ac",
    "\u9ce5",
    "\u9b5a",
    "\u99ac",
    "\u725b",
    "\ub098\ubb34",
    "\u304b",
    "\u30ab",
    "plane",
]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Nothing is known of fonts, and nothing was noted."""
    caches = (glyphs._search, glyphs._installed, glyphs._glyphs, glyphs._own_glyphs)
    monkeypatch.setattr(glyphs, "_noted", set())
    for one in caches:
        one.cache_clear()
    yield
    for one in caches:
        one.cache_clear()


@pytest.fixture
def no_fonts(monkeypatch):
    """A machine with the fonts of matplotlib alone."""
    monkeypatch.setattr(glyphs, "findSystemFonts", list)
    own = [entry for entry in fontManager.ttflist if "matplotlib" in entry.fname]
    monkeypatch.setattr(fontManager, "ttflist", own)


@pytest.fixture
def font(tmp_path, monkeypatch, no_fonts):
    """A font with the characters of `CLASSES`, installed since matplotlib looked last."""
    signs = sorted({sign for name in CLASSES for sign in name if ord(sign) > 127})
    names = [".notdef", *(f"uni{ord(sign):04X}" for sign in signs)]
    pen = TTGlyphPen(None)
    for point in ((0, 0), (0, 900), (900, 900), (900, 0)):
        (pen.lineTo if point != (0, 0) else pen.moveTo)(point)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(sign): name for sign, name in zip(signs, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Test East Asian", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900, usWinAscent=900, usWinDescent=100)
    builder.setupPost()
    path = tmp_path / "east.ttf"
    builder.save(path)
    monkeypatch.setattr(glyphs, "findSystemFonts", lambda: [str(path)])
    return "Test East Asian"


def drawn_texts(made, name, tmp_path):
    """What stands in the figure as it is saved, with warnings as errors."""
    made.tables.class_names = CLASSES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = FIGURES[name](made.tables, made.comparison, made.style)
        save_figure(drawn, tmp_path, made.style)
    return drawn, [text for text in drawn.figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("name", ["confusion", "classifier"])
def test_without_a_font_classes_are_numbers_with_one_note(example, run, tmp_path, no_fonts, capfd, name):
    drawn, texts = drawn_texts(example([run()], n_images=12), name, tmp_path)
    said = capfd.readouterr().err
    assert said.count("no installed font has") == 1 and "classes are drawn as their numbers" in said
    assert "fonts-noto-cjk" in said and "and 2 more" in said
    shown = {text.get_text() for text in texts}
    assert {"0", "9"} <= shown and not any(set(text) & set("".join(CLASSES[:9])) for text in shown)
    if name == "classifier":
        assert set(drawn.table["class"]) <= set(CLASSES)  # the table keeps the names
    drawn_texts(example([run()], n_images=12), name, tmp_path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["confusion", "classifier"])
def test_an_installed_font_with_the_characters_is_used(example, run, tmp_path, font, capfd, name):
    _, texts = drawn_texts(example([run()], n_images=12), name, tmp_path)
    named = [text for text in texts if CLASSES[0] in text.get_text()]
    assert named and all(text.get_fontfamily() == ["DejaVu Sans", font] for text in named)
    assert capfd.readouterr().err == ""
    assert CLASSES[0] in (tmp_path / f"{name}.svg").read_text()


def test_other_labels_are_drawn_too(example, run, tmp_path, no_fonts, capfd):
    made = example([run()], layers=("V1", "\u732b"), n_images=4)
    for _ in range(2):
        _, texts = drawn_texts(made, "responses", tmp_path)
    assert capfd.readouterr().err.count("no installed font has \u732b, so they are drawn as ?") == 1
    assert "?" in {text.get_text() for text in texts}
    _, texts = drawn_texts(
        made, "dynamics", tmp_path
    )  # as a tick label, which is written anew at every drawing
    assert "?" in {text.get_text() for text in texts}


def test_what_the_font_of_figures_has_is_left_alone():
    assert glyphs.legible_names(["\u00e9t\u00e9", "\u0434\u043e\u043c", "\u03c4"]) == [
        "\u00e9t\u00e9",
        "\u0434\u043e\u043c",
        "\u03c4",
    ]
    assert glyphs.fonts_for("plain\n") == ([], "")


def test_long_names_of_classes_leave_room_for_the_figure(example, run, tmp_path):
    """As those of ImageNet, with all synonyms; what is cut to the same gets its number."""
    shark = "great white shark, man-eating shark, Carcharodon carcharias"
    names = [
        shark,
        "ca\nt",
        "species of the genus Homo, first",
        "species of the genus Homo, also first",
        "plane",
        "$5 to $9",
    ]
    drawn = glyphs.legible_names(names)
    assert drawn == [
        "great white sha\u2026rcharias",
        "ca t",
        "species of the\u2026o, first",
        "species of the\u2026so first",
        "plane",
        "$5 to $9",
    ]
    made = example([run()], n_images=10)
    made.tables.class_names = [f"{name} {shark}" for name in "abcdefghij"]
    figure = FIGURES["confusion"](made.tables, made.comparison, made.style).figure
    assert max(len(text.get_text()) for text in figure.findobj(Text)) <= glyphs.LONGEST
    twins = glyphs.legible_names([f"{shark} {shark}", f"{shark} and {shark}"])
    assert twins == [f"great white sha\u2026rcharias ({number})" for number in range(2)]
