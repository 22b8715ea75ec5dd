"""What is kept of trials: rows of the two tables, and the units of the first images if asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from dynvision.experiments.batches import Batch
from dynvision.experiments.tables import PERFORMANCE, RESPONSES, TableWriter
from dynvision.experiments.trial import ResponseRecorder
from dynvision.experiments.units import UnitWriter
from dynvision.files import atomic_path
from dynvision.trials import Trial


@dataclass(frozen=True)
class TrialRecord:
    """A batch shown in a trial.

    Attributes:
        trial: the trial.
        recorder: what the layers did.
        outcomes: columns of the table of performance, (B, T) each.
    """

    trial: Trial
    recorder: ResponseRecorder
    outcomes: dict[str, np.ndarray]


class ExperimentWriter:
    """The files of an experiment, each whole or absent.

    Args:
        responses, performance, units: where they are written.
        fixed: columns that hold one value throughout.
        shapes: (C, H, W) by layer of the units that are kept; empty keeps none.
    """

    def __init__(
        self,
        responses: Path,
        performance: Path,
        units: Path,
        fixed: Mapping[str, Any],
        shapes: Mapping[str, Sequence[int]],
    ) -> None:
        self._stack = ExitStack()
        with ExitStack() as opened:  # closed at once if one of them cannot be opened
            temporary = [opened.enter_context(atomic_path(path)) for path in (responses, performance)]
            self._responses, self._performance = (
                opened.enter_context(closing(TableWriter(path, schema, fixed)))
                for path, schema in zip(temporary, (RESPONSES, PERFORMANCE), strict=True)
            )
            self._units = None
            if shapes:
                path = opened.enter_context(atomic_path(units))
                self._units = opened.enter_context(closing(UnitWriter(path, shapes, fixed)))
            self._stack = opened.pop_all()

    def __enter__(self) -> ExperimentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def append(self, record: TrialRecord, batch: Batch, times: np.ndarray) -> None:
        """Append a batch in a trial: a row for each (layer,) image and step."""
        trial, recorder = record.trial, record.recorder
        layers = list(recorder.mean)
        common = {
            "value": np.array(trial.value),
            "time_ms": times,
            "stimulus_on": np.array(trial.stimulus_on),
            "shown": np.array(trial.shown, dtype=object),
        }
        image, label = batch.indices[:, None], batch.labels.numpy()[:, None]
        self._responses.append(
            {
                **common,
                "image": image[None],
                "label": label[None],
                "layer": np.array(layers, dtype=object)[:, None, None],
                "mean": _finite(np.stack(list(recorder.mean.values()))),
                "sd": _finite(np.stack(list(recorder.sd.values()))),
            },
            (len(layers), len(batch), len(times)),
        )
        self._performance.append(
            {**common, "image": image, "label": label, **record.outcomes}, (len(batch), len(times))
        )
        if self._units is not None and recorder.units:
            self._units.append(trial.value, recorder, batch, times)


def _finite(values: np.ndarray) -> np.ndarray:
    """Return values with NaN for infinity, which no measure could use."""
    return np.where(np.isfinite(values), values, np.nan).astype(values.dtype)
