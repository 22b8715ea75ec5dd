"""The diagrams of the documentation, as SVG: the packages, the engine's blocks in time, the way of a run through its files.

The packages are read from the test that keeps their order of imports, so that the diagram is as true as the test.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
INK, PALE, LINE, WARM, COOL = "#222", "#666", "#888", "#f3c98b", "#a9c7e8"


def diagrams() -> dict[str, str]:
    """Return the SVG of each diagram by its file's name."""
    return {"packages.svg": packages(), "blocks.svg": blocks(), "files.svg": files()}


def packages() -> str:
    """Each row imports from the rows below it."""
    rows = [[part for part in row if (ROOT / "dynvision" / part).is_dir()] for row in _import_order()]
    rows = [row for row in reversed(rows) if row]
    height, width = 40, 760
    drawn = [
        _text(width / 2, 18, "imports run downwards; each package uses those below it, never above", PALE)
    ]
    for number, row in enumerate(rows):
        y, gap = 30 + number * height, 8
        box = min(170.0, (width - 20 - gap * (len(row) - 1)) / len(row))
        x = (width - len(row) * box - gap * (len(row) - 1)) / 2
        for place, name in enumerate(row):
            needs_torch = name not in (
                "config",
                "stimuli",
                "noise",
                "trials",
                "runs",
                "analysis",
                "recordings",
                "report",
                "visualization",
            )
            left = x + place * (box + gap)
            drawn += [
                _box(left, y, box, 28, COOL if needs_torch else WARM),
                _text(left + box / 2, y + 19, name),
            ]
    bottom = 30 + len(rows) * height
    drawn += [
        _box(20, bottom, 14, 14, WARM),
        _text(40, bottom + 12, "planning, tables, figures", PALE, "start"),
    ]
    drawn += [
        _box(240, bottom, 14, 14, COOL),
        _text(260, bottom + 12, "networks and what runs them", PALE, "start"),
    ]
    return _svg(width, bottom + 24, drawn)


def blocks() -> str:
    """Three layers over 12 steps: what runs once, and what is sequential."""
    left, top, step, row = 150, 56, 44, 62
    drawn = [_text(left, 20, "time in steps of dt; t_recurrence = 3 dt, no feedback", PALE, "start")]
    for layer in range(3):
        y = top + layer * row
        drawn.append(_text(left - 14, y + 28, ("V1", "V2", "IT")[layer], INK, "end"))
        drawn.append(_box(left, y, 12 * step, 16, COOL))
        drawn.append(
            _text(left + 6 * step, y + 12, "convolution, skips, pooling: all steps at once", size=11)
        )
        for block in range(4):
            x = left + block * 3 * step
            drawn.append(_box(x + 1, y + 19, 3 * step - 2, 18, WARM))
            drawn.append(_text(x + 1.5 * step, y + 32, "recurrence, leak", size=11))
            if block:
                drawn.append(_arrow(x - 10, y + 40, x + 12, y + 40))
        if layer < 2:
            drawn.append(_arrow(left + 6 * step, y + 41, left + 6 * step, y + row - 2))
    bottom = top + 3 * row
    for k in range(13):
        drawn.append(_line(left + k * step, 34, left + k * step, bottom - 18, "2,4"))
        drawn.append(_text(left + k * step, 46, str(k), PALE, size=10))
    drawn.append(
        _text(
            left,
            bottom + 4,
            "A recurrence of 3 steps lets 3 steps be computed at once; only the leak goes step by step.",
            PALE,
            "start",
        )
    )
    drawn.append(
        _text(
            left,
            bottom + 22,
            "With feedback, all layers go through blocks as long as the feedback delay.",
            PALE,
            "start",
        )
    )
    return _svg(left + 12 * step + 90, bottom + 34, drawn)


def files() -> str:
    """From YAML to the report: each box is a command, and below it is what it writes."""
    stages = [
        ("freeze", "runs/RUN/", "config.yaml"),
        ("convert", "data/DATA/", "images, manifest.json"),
        ("train", "runs/RUN/", "model.safetensors, training.csv"),
        ("experiment", "experiments/NAME/RUN/", "responses, performance"),
        ("analyse", "experiments/NAME/RUN/", "metrics, summary"),
        ("plot", "figures/NAME/", "PNG, SVG, CSV"),
        ("report", "", "report.html"),
    ]
    drawn = [
        _text(20, 22, "config/*.yaml and snakemake --config", INK, "start"),
        _text(20, 40, "are checked and expanded into runs; then, in results/:", PALE, "start"),
    ]
    for number, (name, folder, written) in enumerate(stages):
        y = 54 + number * 46
        drawn += [
            _box(20, y, 120, 30, COOL if name in ("train", "experiment") else WARM),
            _text(80, y + 20, name),
        ]
        drawn.append(_arrow(146, y + 15, 186, y + 15))
        drawn.append(_text(196, y + 20, f"{folder}  {written}".strip(), INK, "start"))
        if number:
            drawn.append(_arrow(80, y - 16, 80, y - 2))
    return _svg(600, 54 + len(stages) * 46 + 4, drawn)


def _import_order() -> tuple[tuple[str, ...], ...]:
    """The rows of packages, from the bottom to the top."""
    for node in ast.parse((ROOT / "tests" / "parts.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "LAYERS":
            return ast.literal_eval(node.value)
    raise AssertionError("tests/parts.py has no LAYERS")


def _svg(width: float, height: float, drawn: list[str]) -> str:
    head = (
        '<marker id="head" markerWidth="7" markerHeight="7" refX="5" refY="3" orient="auto">'
        '<path d="M0,0 L6,3 L0,6 z" fill="#888"/></marker>'
    )
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'font-family="sans-serif"><defs>{head}</defs>{paper}{"".join(drawn)}</svg>\n'
    )


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" fill="{colour}"/>'


def _text(x: float, y: float, text: str, colour: str = INK, anchor: str = "middle", size: int = 13) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" text-anchor="{anchor}" font-size="{size}">{text}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, dash: str) -> str:
    look = f'stroke="{LINE}" stroke-width="0.5" stroke-dasharray="{dash}"'
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" {look}/>'


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{LINE}" marker-end="url(#head)"/>'
