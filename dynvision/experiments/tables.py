"""The files of an experiment: two tables, and the activity of every unit of the first images if asked for.

They are written batch by batch, so that memory stays bounded.

responses    run_id experiment parameter value image label layer time_ms stimulus_on shown mean sd
performance  run_id experiment parameter value image label time_ms stimulus_on shown
             guess correct confidence label_confidence label_rank entropy_bits uncertainty
             evidence_ms evidence_lead_ms evidence_guess n_classes

One row for each value, image, (layer) and step; time 0 is stimulus onset, a sample is labelled by the end of its step, and
the idle time is not recorded.

    value         of the parameter; true is 1 and false is 0
    image         index of the image in its source
    time_ms       end of the step: the state that has integrated its input
    stimulus_on   the image is on in the step, also at contrast 0
    shown         what is on the screen: blank, image or mask
    mean, sd      over the units of the layer, of |r|, in the model's own unit
    guess         the most probable class, also in blank periods; correct if it is the label. Outputs that are not finite
                  guess nothing: -1, never correct, without confidence, label_rank one more than there are classes
    confidence    its probability by softmax; label_confidence: that of the label
    label_rank    1 if the label is the guess; the label is among the k most probable classes where label_rank <= k
    entropy_bits  of the probabilities, H = - sum_k p_k log2 p_k, 0 (certain) to log2 of the number of classes
    uncertainty   K / sum_k (1 + max(z_k, 0)) of the logits z: the vacuity of a Dirichlet distribution whose evidence they
                  are, 1 (none) to 0 (Sensoy et al. 2018, NeurIPS, eq. 2)
    evidence_ms   of the leading class in a race, max_k E_k, E_k(t) = dt sum of p_k over the steps in (0, t]: 50 ms is as if
                  the class had been certain for 50 ms. evidence_lead_ms: its lead over the second; evidence_guess: the
                  class. A step whose outputs are not finite adds nothing
    n_classes     of the network, whether they are shown or not

Units are in one Parquet file, of as many images as a bound allows, one row for each value, image, layer and step:

    run_id experiment parameter value image label layer time_ms units

``units`` lists the layer's activity in the order (C, H, W); the file's metadata have the shape of each layer. A layer has
rows in a trial only if it started in it.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from dynvision.errors import InputError
from dynvision.experiments.batches import Batch
from dynvision.experiments.outcomes import outcomes
from dynvision.experiments.trial import Responses
from dynvision.files import atomic_path
from dynvision.recordings.responses import SHAPES
from dynvision.trials import Trial

_NAME = pa.dictionary(pa.int32(), pa.string())
_CONDITION = [("run_id", _NAME), ("experiment", _NAME), ("parameter", _NAME), ("value", pa.float64())]
_IMAGE = [("image", pa.int32()), ("label", pa.int32())]
_TIME = [("time_ms", pa.float64()), ("stimulus_on", pa.bool_()), ("shown", _NAME)]
GIVEN = (
    "value",
    *dict([*_IMAGE]),
    "time_ms",
)  # the same for many rows on end, or in the same order again and again
KEYS = [*_CONDITION, *_IMAGE, ("layer", _NAME), ("time_ms", pa.float64())]


def _table(columns: Sequence[tuple[str, pa.DataType]]) -> pa.Schema:
    """Return the schema of a table without absent values, for each of which a file would have a mark."""
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


RESPONSES = _table(
    [*_CONDITION, *_IMAGE, ("layer", _NAME), *_TIME, ("mean", pa.float32()), ("sd", pa.float32())]
)
PERFORMANCE = _table(
    [
        *_CONDITION,
        *_IMAGE,
        *_TIME,
        ("guess", pa.int32()),
        ("correct", pa.bool_()),
        ("confidence", pa.float32()),
        ("label_confidence", pa.float32()),
        ("label_rank", pa.int32()),
        ("entropy_bits", pa.float32()),
        ("uncertainty", pa.float32()),
        ("evidence_ms", pa.float32()),
        ("evidence_lead_ms", pa.float32()),
        ("evidence_guess", pa.int32()),
        ("n_classes", pa.int32()),
    ]
)


class TableWriter:
    """Appends columns to a Parquet file.

    Args:
        path: the file; the caller makes the writing atomic.
        schema: columns and types.
        fixed: columns that hold one value throughout.
    """

    def __init__(self, path: Path, schema: pa.Schema, fixed: Mapping[str, Any]) -> None:
        self.schema, self.fixed = schema, dict(fixed)
        # Measured values hardly come twice: by their bytes, all first ones, all second ones, ..., they become smaller and
        # are written faster than as a dictionary. Names, and whole numbers of few values, are dictionaries.
        measured = [field.name for field in schema if field.type == pa.float32()]
        given = [field.name for field in schema if field.name in GIVEN]
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=FAST,
            use_dictionary=[name for name in schema.names if name not in {*measured, *given}],
            column_encoding=dict.fromkeys(measured, "BYTE_STREAM_SPLIT"),
            write_statistics=False,
            write_batch_size=2**16,
        )

    def append(self, columns: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> None:
        """Append the elements of arrays that broadcast to ``shape`` as rows, last axis fastest."""
        n_rows = int(np.prod(shape))
        arrays = []
        for field in self.schema:
            if field.name in self.fixed:
                column = name_column(self.fixed[field.name], n_rows)
            elif field.type == _NAME:
                given = columns[field.name]
                names = [*dict.fromkeys(map(str, given.flat))]  # readers keep this order: it is the hierarchy
                index = np.array([names.index(str(name)) for name in given.flat], dtype=np.int32)
                index = _rows(index.reshape(given.shape), shape)
                column = pa.DictionaryArray.from_arrays(index, pa.array(names))
            else:
                kind = np.dtype(field.type.to_pandas_dtype())
                column = pa.array(_rows(columns[field.name].astype(kind, copy=False), shape))
            arrays.append(column)
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema), row_group_size=n_rows)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def _rows(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(values, shape).reshape(-1)


@functools.lru_cache(maxsize=16)
def name_column(name: str, n_rows: int) -> pa.DictionaryArray:
    """Return a column that holds one name throughout."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int32)), pa.array([name]))


BYTES = 4  # of a float32
# Values of a row group, unless one image has more: a reader decodes whole row groups, and lists have offsets of 32 bits.
ROW_GROUP = 2**22
FAST = -1  # level of zstd
TABLE_ROWS = 2**16  # of the responses that are made at once: arrays that stay in the caches
MOST_WAITING = 2  # batches that are written, or wait to be


def images_within(
    bound_mb: float, shapes: Mapping[str, Sequence[int]], n_steps: int, n_conditions: int, n_images: int
) -> int:
    """Return how many images' units can be kept.

    Args:
        bound_mb: the bound in MB (10^6 bytes).
        shapes: (C, H, W) of each layer.
        n_steps, n_conditions: of the experiment.
        n_images: all of them.

    Raises:
        InputError: not those of a single image.
    """
    per_image = BYTES * n_steps * n_conditions * sum(int(np.prod(shape)) for shape in shapes.values())
    kept = min(n_images, int(bound_mb * 1e6 // per_image))
    if not kept:
        raise InputError(
            f"save_responses_mb={bound_mb:g} MB is less than the {per_image / 1e6:.1f} MB that the units of one image "
            "take; raise it, or set save_responses to none"
        )
    return kept


class UnitWriter:
    """Appends the units of trials to a Parquet file; the caller makes the writing atomic.

    Args:
        path: the file.
        shapes: (C, H, W) of each layer.
        fixed: ``run_id``, ``experiment`` and ``parameter``.
    """

    def __init__(self, path: Path, shapes: Mapping[str, Sequence[int]], fixed: Mapping[str, Any]) -> None:
        metadata = {SHAPES: json.dumps({layer: list(shape) for layer, shape in shapes.items()})}
        self.schema = pa.schema([*KEYS, ("units", pa.list_(pa.float32()))], metadata=metadata)
        self.fixed = dict(fixed)
        self._writer = pq.ParquetWriter(path, self.schema, compression="zstd")

    def append(self, value: float, responses: Responses, batch: Batch, times: np.ndarray) -> None:
        """Append the units that were kept of a trial."""
        for layer, activity in responses.units.items():
            at_once = max(1, ROW_GROUP // int(np.prod(activity.shape[1:])))
            for first in range(0, len(activity), at_once):
                self._write(layer, value, activity[first : first + at_once], first, batch, times)

    def _write(
        self, layer: str, value: float, activity: np.ndarray, first: int, batch: Batch, times: np.ndarray
    ) -> None:
        """Write a row group: a layer's activity for images of a batch from ``first`` on, (B, T, C, H, W)."""
        n_images, n_steps = activity.shape[:2]
        n_rows, n_units = n_images * n_steps, int(np.prod(activity.shape[2:]))
        offsets = pa.array(np.arange(n_rows + 1, dtype=np.int32) * n_units)
        shown = slice(first, first + n_images)
        columns = {
            **{name: name_column(text, n_rows) for name, text in {**self.fixed, "layer": layer}.items()},
            "value": np.full(n_rows, value),
            "image": np.repeat(batch.indices[shown], n_steps),
            "label": np.repeat(batch.labels[shown].numpy(), n_steps),
            "time_ms": np.tile(times, n_images),
            "units": pa.ListArray.from_arrays(offsets, pa.array(activity.reshape(-1), type=pa.float32())),
        }
        arrays = [pa.array(columns[field.name], type=field.type) for field in self.schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


@dataclass(frozen=True)
class TrialRecord:
    """A batch shown in a trial.

    Attributes:
        trial: the trial.
        responses: what the layers did.
        logits: outputs, (B, T, K), in the memory of the host.
    """

    trial: Trial
    responses: Responses
    logits: Tensor


class ExperimentWriter:
    """The files of an experiment, each whole or absent.

    Threads of their own write, one of them what the outputs come to, so that the network computes meanwhile.

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
            self._thread, self._second_thread = (ThreadPoolExecutor(max_workers=1) for _ in range(2))
            self._waiting: deque[Future[None]] = deque()
            opened.push(self._finish)  # the first to be left: files are closed after it
            self._stack = opened.pop_all()

    def __enter__(self) -> ExperimentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def append(self, records: Callable[[], Iterable[TrialRecord]], batch: Batch, times: np.ndarray) -> None:
        """Append a batch in every trial: a row for each (layer,) image and step.

        Args:
            records: gives the trials in turn, and is called by the thread that writes.
            batch: the images.
            times: of the steps, in ms.

        Raises:
            OSError: what came before could not be written.
        """
        while len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._write, records, batch, times))

    def _finish(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the threads; after an error nothing more is written."""
        for thread in (self._thread, self._second_thread):  # the first one waits for the second
            thread.shutdown(cancel_futures=error is not None)
        if error is None:
            for written in self._waiting:
                written.result()

    def _write(self, records: Callable[[], Iterable[TrialRecord]], batch: Batch, times: np.ndarray) -> None:
        """Write trials as row groups of each table, of the first ones while a GPU computes the last ones."""
        rest, of_outputs = iter(records()), []
        for first in rest:
            per_trial = len(first.responses.mean) * len(batch) * len(times)
            shown = [first, *itertools.islice(rest, max(0, TABLE_ROWS // per_trial - 1))]
            of_outputs.append(self._second_thread.submit(self._write_performance, shown, batch, times))
            self._write_responses(shown, batch, times)
        for written in of_outputs:
            written.result()

    def _write_responses(self, shown: Sequence[TrialRecord], batch: Batch, times: np.ndarray) -> None:
        layers = list(shown[0].responses.mean)
        measured = {
            name: np.stack([[*getattr(record.responses, name).values()] for record in shown])
            for name in ("mean", "sd")
        }
        self._responses.append(
            {
                **_keys(shown, batch, times),
                "layer": np.array(layers, dtype=object)[:, None, None],
                **{name: _finite(values) for name, values in measured.items()},
            },
            (len(shown), len(layers), len(batch), len(times)),
        )
        for record in shown:
            if self._units is not None and record.responses.units:
                self._units.append(record.trial.value, record.responses, batch, times)

    def _write_performance(self, shown: Sequence[TrialRecord], batch: Batch, times: np.ndarray) -> None:
        logits = torch.cat([record.logits for record in shown])
        made = outcomes(logits, batch.labels.repeat(len(shown)), shown[0].trial.times_ms)
        shape = (len(shown), 1, len(batch), len(times))
        columns = {name: values.reshape(shape) for name, values in made.items()}
        self._performance.append({**_keys(shown, batch, times), **columns}, shape)


def _keys(shown: Sequence[TrialRecord], batch: Batch, times: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns that say what the rows are of; axes (trial, layer, image, step)."""
    trials = [record.trial for record in shown]
    by_trial = {
        "value": np.array([trial.value for trial in trials])[:, None],
        "stimulus_on": np.array([trial.stimulus_on for trial in trials]),
        "shown": np.array([trial.shown for trial in trials], dtype=object),
    }
    return {
        **{name: values[:, None, None] for name, values in by_trial.items()},
        "image": batch.indices[:, None],
        "label": batch.labels.numpy()[:, None],
        "time_ms": times,
    }


def _finite(values: np.ndarray) -> np.ndarray:
    """Return values, which may be overwritten, with NaN for infinity, which no measure could use."""
    values[np.isinf(values)] = np.nan
    return values
