"""The tables of an experiment, written batch by batch so that memory stays bounded.

responses    run_id experiment parameter value image label layer time_ms stimulus_on mean sd
performance  run_id experiment parameter value image label time_ms stimulus_on guess correct confidence label_confidence
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_NAME = pa.dictionary(pa.int32(), pa.string())
_CONDITION = [("run_id", _NAME), ("experiment", _NAME), ("parameter", _NAME), ("value", pa.float64())]
_IMAGE = [("image", pa.int32()), ("label", pa.int32())]
_TIME = [("time_ms", pa.float64()), ("stimulus_on", pa.bool_())]
RESPONSES = pa.schema(
    [*_CONDITION, *_IMAGE, ("layer", _NAME), *_TIME, ("mean", pa.float32()), ("sd", pa.float32())]
)
PERFORMANCE = pa.schema(
    [
        *_CONDITION,
        *_IMAGE,
        *_TIME,
        ("guess", pa.int32()),
        ("correct", pa.bool_()),
        ("confidence", pa.float32()),
        ("label_confidence", pa.float32()),
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
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def append(self, columns: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> None:
        """Append the elements of arrays that broadcast to ``shape`` as rows, last axis fastest."""
        n_rows = int(np.prod(shape))
        arrays = []
        for field in self.schema:
            if field.name in self.fixed:
                codes = pa.array(np.zeros(n_rows, np.int32))
                column = pa.DictionaryArray.from_arrays(codes, pa.array([self.fixed[field.name]]))
            else:
                values = np.broadcast_to(columns[field.name], shape).reshape(-1)
                column = pa.array(values, type=pa.string() if field.type == _NAME else field.type)
                column = column.dictionary_encode() if field.type == _NAME else column
            arrays.append(column)
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()
