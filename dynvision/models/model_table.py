"""The tables of ``docs/models.md``: what every registered model costs. Each stands between two comments, which stay."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from pathlib import Path

import torch

from dynvision.errors import InputError
from dynvision.files import write_text
from dynvision.models.footprint import Footprint, Timing

COUNTS, TIMES = "counts", "times"


def counts_row(counted: Footprint) -> str:
    """A model's row of the table of counts."""
    channels, height, _ = counted.image
    cells = (
        f"`{counted.name}`",
        f"{channels} x {height} px, {counted.n_classes}",
        f"{counted.n_steps}",
        f"{counted.n_parameters:,}",
        f"{counted.macs_per_step / 1e6:,.1f}",
        f"{counted.macs_per_image / 1e9:,.3f}",
        f"{counted.state_values:,}",
    )
    return _row(cells)


def counts_table(counted: Sequence[Footprint]) -> str:
    """Counts as a table in Markdown."""
    head = ("model", "channels, px, classes", "steps", "parameters", "MMAC a step", "GMAC an image", "state")
    return "\n".join([_row(head), "|---|---|--:|--:|--:|--:|--:|", *map(counts_row, counted)])


def times_table(measured: Sequence[Timing]) -> str:
    """Measurements as a table in Markdown, with the machine above it."""
    machine = (
        f"One thread of {_processor()}, torch {torch.__version__.partition('+')[0]}, float32, one image."
    )
    rows = [_row((f"`{m.name}`", f"{m.milliseconds:,.0f}", f"{m.megabytes:,.0f}")) for m in measured]
    return "\n".join([machine, "", _row(("model", "ms a trial", "MB")), "|---|--:|--:|", *rows])


def replace_block(path: Path, block: str, text: str) -> None:
    """Write a table in its place in a page.

    Raises:
        InputError: the page does not exist, or has no such place.
    """
    page = read_page(path)
    start, end = _marks(block)
    if start not in page or end not in page:
        raise InputError(f"{path} has no place for a table; put {start} and {end} into it, each on a line")
    before, after = page.partition(start)[0], page.partition(end)[2]
    write_text(path, f"{before}{start}\n\n{text}\n\n{end}{after}")


def read_block(path: Path, block: str) -> str:
    """The table in its place in a page."""
    start, end = _marks(block)
    return read_page(path).partition(start)[2].partition(end)[0].strip()


def read_page(path: Path) -> str:
    """A page as text.

    Raises:
        InputError: it does not exist.
    """
    if not path.is_file():
        raise InputError(f"there is no page {path}")
    return path.read_text(encoding="utf-8")


def _marks(block: str) -> tuple[str, str]:
    return f"<!-- {block}: written by dynvision models -->", f"<!-- end of {block} -->"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.is_file() else None
    return " ".join(found[1].split()) if found else platform.machine()
