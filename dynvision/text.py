"""Text for readers: lists cut short, tables in columns, durations, and how far a long work is.

On a terminal a table is drawn by rich, which folds cells that the window has no room for. It is imported there alone (65
ms); files, pipes and logs get plain lines. Progress is a line of our own there too: rich draws it from a thread and hides
the cursor until it is asked to stop, which a process that is killed does not do.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from numbers import Integral, Real

QUIET_S, MOVES_S = 20.0, 0.1  # a log and a terminal get a line at most this often


def first_few(names: Iterable[str], most: int = 3, separator: str = ", ") -> str:
    """Return the first of some names, and how many more there are: ``a, b, c and 7 more``."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return separator.join(listed[:most]) + more


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return the lines of a table, its columns below each other.

    Args:
        rows: cells, the heading first; the last cell of a row that is shorter than others may reach over the next columns.
        right: the columns that end below each other, as numbers do.
    """
    n_columns = max(map(len, rows))
    widths = [
        max(len(row[k]) for row in rows if k < len(row) and (len(row) == n_columns or k == 0))
        for k in range(n_columns)
    ]
    return [
        "  ".join(
            cell.rjust(width) if k in right else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    ]


def cells(values: Iterable[object], digits: int = 3) -> list[str]:
    """Return a row of a table: numbers that are not whole with so many digits, all else as it is."""
    return [
        f"{value:.{digits}g}" if isinstance(value, Real) and not isinstance(value, Integral) else str(value)
        for value in values
    ]


def print_table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> None:
    """Print a table, whose first row is its heading; the arguments are those of `aligned`.

    The first column is never folded, since it holds what is copied: ids of runs, paths of images.
    """
    if not sys.stdout.isatty():
        print("\n".join(aligned(rows, right)), flush=True)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for k, name in enumerate(rows[0]):
        justify = "right" if k in right else "left"
        table.add_column(Text(name), justify=justify, no_wrap=k == 0, overflow="fold")  # type: ignore[arg-type]
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


def duration(seconds: float, digits: int = 0) -> str:
    """Return a duration in two units at most: ``40 s``, ``3 min 50 s``, ``2 h 5 min``.

    Args:
        seconds: the duration.
        digits: of the seconds of less than a minute.
    """
    if round(seconds, digits) < 60:
        return f"{seconds:.{digits}f} s"
    total, units = (seconds, ("min", "s")) if round(seconds) < 3600 else (seconds / 60, ("h", "min"))
    first, second = divmod(round(total), 60)
    return f"{first} {units[0]}" + (f" {second} {units[1]}" if second else "")


def clear_line() -> None:
    """Remove the line of a `Progress` from a terminal, before something else is printed."""
    if sys.stdout.isatty():
        print("\r\x1b[K", end="", flush=True)


class Progress:
    """Prints how far a long work is and how long the rest will take: on a terminal all the time, in a log now and then.

    Args:
        what: what is done.
        total: how many steps it has.
        unit: what a step is, in the plural.
        done: what is printed at the end; empty prints nothing then.
    """

    def __init__(self, what: str, total: int, unit: str, done: str = "") -> None:
        self.what, self.total, self.unit, self.done = what, total, unit, done
        self._moves = sys.stdout.isatty()
        self._began = self._printed = time.monotonic()

    def at(self, n_done: int) -> None:
        """Print that so many steps are done, if it is time to."""
        now = time.monotonic()
        if n_done >= self.total:
            if self.done:
                self._print(f"{self.done} in {now - self._began:.1f} s", is_last=True)
            else:
                clear_line()
        elif now - self._printed >= (MOVES_S if self._moves else QUIET_S):
            self._printed = now
            left = (now - self._began) * (self.total - n_done) / n_done
            self._print(f"{n_done / self.total:4.0%} of {self.total:,} {self.unit}, {duration(left)} left")

    def _print(self, text: str, is_last: bool = False) -> None:
        line = f"{self.what}: {text}"
        if not self._moves:
            print(line, flush=True)
        elif is_last:
            print(f"\r\x1b[K{line}", flush=True)
        else:  # a line that wraps could not be overwritten
            print(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
