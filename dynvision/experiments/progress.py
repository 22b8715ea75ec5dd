"""How far a job is: a line that moves on a terminal, and now and then a plain line in a log."""

from __future__ import annotations

import sys
import time

QUIET_S = 20.0  # a log gets a line at most this often


class Progress:
    """Logs how many trials are done, and how long the others will take.

    Args:
        what: what is done.
        n_trials: how many there are, one for each image and condition.
        done: what is logged at the end.
    """

    def __init__(self, what: str, n_trials: int, done: str) -> None:
        self.what, self.n_trials, self.done = what, n_trials, done
        self._moves = sys.stdout.isatty()
        self._began = self._said = time.monotonic()

    def at(self, n_done: int) -> None:
        """Log that so many trials are done."""
        now = time.monotonic()
        if n_done >= self.n_trials:
            self._say(f"{self.done} in {now - self._began:.1f} s", last=True)
        elif self._moves or now - self._said >= QUIET_S:
            self._said = now
            left = (now - self._began) * (self.n_trials - n_done) / n_done
            self._say(f"{n_done / self.n_trials:4.0%} of {self.n_trials:,} trials, {duration(left)} left")

    def _say(self, text: str, last: bool = False) -> None:
        start, end = ("\r\x1b[K", "\n" if last else "") if self._moves else ("", "\n")
        print(f"{start}{self.what}: {text}", end=end, flush=True)


def duration(seconds: float) -> str:
    """Return a duration as one reads it: ``45 s``, ``3 min``, ``2 h 05 min``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
