"""Lists cut short, tables, durations, and how far a job is: on a terminal and in a log."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dynvision import text
from dynvision.cli import main
from dynvision.text import Progress, aligned, cells, duration, first_few, print_table
from dynvision.training.log import TrainingLog


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(text, "time", made)
    return made


def advance(progress: Progress, clock: Clock) -> None:
    for n_done, now in ((10, 1.0), (20, 25.0), (30, 30.0), (60, 60.0), (100, 100.0)):
        clock.now = now
        progress.at(n_done)


def test_a_log_has_a_line_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    advance(Progress("run: contrast", 100, "trials", "all done"), clock)
    assert capsys.readouterr().out.splitlines() == [
        "run: contrast:  20% of 100 trials, 1 min 40 s left",
        "run: contrast:  60% of 100 trials, 40 s left",
        "run: contrast: all done in 100.0 s",
    ]


def test_a_terminal_has_one_line_that_moves(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text.sys.stdout, "isatty", lambda: True)
    advance(Progress("run", 100, "trials", "all done"), clock)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and said.endswith("\r\x1b[Krun: all done in 100.0 s\n")
    assert (
        "\r\x1b[Krun:  10% of 100 trials, 9 s left" in said and "30% of 100 trials, 1 min 10 s left" in said
    )


def test_a_training_prints_how_far_an_epoch_is(
    clock: Clock, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    trainer: Any = SimpleNamespace(current_epoch=1, max_epochs=3, num_training_batches=4, is_global_zero=True)
    model: Any = None
    log = TrainingLog(tmp_path / "training.csv", "run")
    log.on_train_epoch_start(trainer, model)
    for batch, clock.now in enumerate((10.0, 25.0, 40.0, 55.0)):
        log.on_train_batch_end(trainer, model, None, None, batch)
    assert capsys.readouterr().out == "run: epoch 2/3:  50% of 4 batches, 25 s left\n"


def test_an_error_stands_on_a_line_of_its_own(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text.sys.stdout, "isatty", lambda: True)
    progress, clock.now = Progress("run", 100, "trials"), 10.0
    progress.at(10)
    assert main(["models", "nothing"]) == 2
    said = capsys.readouterr()
    assert said.out.endswith("left\r\x1b[K") and said.err.startswith("dynvision models: unknown model")


def test_cells_of_a_table() -> None:
    assert cells(["V1", 3, np.int64(4), 1 / 3, np.float32(2.0), True]) == [
        "V1",
        "3",
        "4",
        "0.333",
        "2",
        "True",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min"), (230, "3 min 50 s"), (3600, "1 h"), (7500, "2 h 5 min")],
)
def test_durations_are_as_one_reads_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_line_that_moves_is_shorter_than_the_window(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text.sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    progress = Progress("a run with a long name", 100, "trials")
    clock.now = 1.0
    progress.at(50)
    assert capsys.readouterr().out == "\r\x1b[Ka run with a long name:  50% of 100 tri"
    progress.at(100)
    assert capsys.readouterr().out == "\r\x1b[K"


@pytest.mark.parametrize(
    ("names", "said"),
    [("", ""), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more"), ("abcdefg", "a, b, c and 4 more")],
)
def test_the_first_few_names(names: str, said: str) -> None:
    assert first_few(names) == said


ROWS = [
    ("run", "accuracy"),
    ("a_long_name_of_a_run", "0.5"),
    ("b", "10.25"),
    ("a sentence over two columns",),
]


def test_columns_stand_below_each_other() -> None:
    assert aligned(ROWS[:3], right={1}) == [
        "run                   accuracy",
        "a_long_name_of_a_run       0.5",
        "b                        10.25",
    ]
    assert aligned([("a", "b"), ("1", "2"), ("below",)]) == ["a      b", "1      2", "below"]


def test_a_pipe_gets_lines_and_a_terminal_a_table_that_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is copied, the first column, stays whole."""
    print_table(ROWS[:3])
    assert capsys.readouterr().out.splitlines() == aligned(ROWS[:3])
    monkeypatch.setattr(text.sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "26")
    monkeypatch.setenv("TERM", "dumb")
    print_table(ROWS[:3])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines if len(line) == 2] == ["run", "a_long_name_of_a_run", "b"]
    assert "".join(line[-1] for line in lines).startswith("accuracy0.510.25")
