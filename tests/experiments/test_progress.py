"""How far a job is, on a terminal and in a log."""

from __future__ import annotations

import pytest

from dynvision.experiments import run as run_module
from dynvision.experiments.run import Progress, duration


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(run_module, "time", made)
    return made


def advance(progress: Progress, clock: Clock) -> None:
    for n_done, now in ((10, 1.0), (20, 25.0), (30, 30.0), (60, 60.0), (100, 100.0)):
        clock.now = now
        progress.at(n_done)


def test_a_log_has_a_line_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    advance(Progress("run: contrast", 100, "all done"), clock)
    assert capsys.readouterr().out.splitlines() == [
        "run: contrast:  20% of 100 trials, 2 min left",
        "run: contrast:  60% of 100 trials, 40 s left",
        "run: contrast: all done in 100.0 s",
    ]


def test_a_terminal_has_one_line_that_moves(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module.sys.stdout, "isatty", lambda: True)
    advance(Progress("run", 100, "all done"), clock)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and said.endswith("\r\x1b[Krun: all done in 100.0 s\n")
    assert "\r\x1b[Krun:  10% of 100 trials, 9 s left" in said and "30% of 100 trials, 70 s left" in said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (91, "2 min"), (3600, "60 min"), (7500, "2 h 05 min")]
)
def test_durations_are_as_one_reads_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
