"""Signals that come at a certain moment of a training."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dynvision.base import BaseModel


@dataclass(frozen=True)
class Moment:
    """A signal in the middle of a training step.

    Attributes:
        epoch, batch: counted from 0.
        by: the signal.
        ranks: processes that get it, of those that train together.
        stage: ``training`` or ``validation``.
    """

    epoch: int
    batch: int
    by: int = signal.SIGKILL
    ranks: tuple[int, ...] = (0, 1)
    stage: str = "training"

    @contextmanager
    def awaited(self, rank: int = 0) -> Iterator[None]:
        """This process, and what it forks, gets the signal when the moment comes."""
        name = f"{self.stage}_step"
        step: Callable[..., Any] = getattr(BaseModel, name)

        def disturbed_step(model: BaseModel, batch: Any, batch_idx: int) -> Any:
            if (model.current_epoch, batch_idx) == (self.epoch, self.batch) and rank in self.ranks:
                os.kill(os.getpid(), self.by)
            return step(model, batch, batch_idx)

        setattr(BaseModel, name, disturbed_step)
        try:
            yield
        finally:
            setattr(BaseModel, name, step)
