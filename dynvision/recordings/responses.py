"""Responses as labelled arrays: an xarray Dataset with one convention for networks and for recordings.

    response (presentation, unit, time_ms)        float32
        presentation  image, label, condition     which image, its class, value of the experiment's parameter
        unit          layer, channel, row, column of a network;  area, subject, electrode of a recording
        time_ms       from stimulus onset; a sample is labelled by the end of its step

An experiment's file of units is read when values are asked for, and only the rows and units that are asked for: a hundred
thousand units of two hundred times fit, since they never have to be in memory together.

They come from an experiment's file (:func:`open_responses`) or from any model and images (:func:`extract_responses`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from dynvision.errors import InputError, check_extra, message_of, unknown_name

if TYPE_CHECKING:
    import torch
    import xarray

DIMENSIONS = ("presentation", "unit", "time_ms")
SHAPES = b"shapes"
KEYS = ("value", "image", "label", "layer", "time_ms")
KEEP_OPEN = 4  # row groups that are kept decoded, for slices that lie beside each other


def labelled_responses(
    values: Any,
    time_ms: Sequence[float] | np.ndarray,
    presentation: Mapping[str, Any],
    unit: Mapping[str, Any],
    **attributes: Any,
) -> xarray.Dataset:
    """Return responses with their labels.

    Args:
        values: (presentation, unit, time), an array or anything that xarray wraps.
        time_ms: (time,), ms from stimulus onset, ascending.
        presentation: coordinates by name, each (presentation,); ``image`` is needed for comparisons.
        unit: coordinates by name, each (unit,).
        attributes: attributes of the Dataset, e.g. ``run_id``.

    Raises:
        InputError: coordinates of another length than the axis, or times that do not ascend.
    """
    check_extra("recordings", "an array with labels", "xarray")
    import xarray

    sizes = dict(zip(DIMENSIONS, np.shape(values), strict=True))
    times = np.asarray(time_ms, dtype=float)
    ascend = np.isfinite(times).all() and (np.diff(times) > 0).all()
    if times.shape != (sizes["time_ms"],) or not ascend:
        raise InputError(
            f"time_ms has {times.size} values for {sizes['time_ms']} times; they must be as many, finite, and ascend"
        )
    coordinates: dict[str, Any] = {"time_ms": times}
    for dimension, given in (("presentation", presentation), ("unit", unit)):
        for name, labels in given.items():
            shape = np.shape(labels)
            if shape != (sizes[dimension],):
                found = f"{shape[0]} values" if len(shape) == 1 else f"the shape {shape}"
                raise InputError(f"coordinate {name!r} has {found} for {sizes[dimension]} along {dimension}")
            coordinates[name] = (dimension, np.asarray(labels))
    dataset = xarray.Dataset({"response": (DIMENSIONS, values)}, coords=coordinates, attrs=attributes)
    dataset["time_ms"].attrs["units"] = "ms"
    return dataset


def open_responses(
    run: str | Path,
    experiment: str = "",
    layers: Sequence[str] | None = None,
    n_units: int | None = None,
    seed: int = 0,
    results: str | Path = "results",
) -> xarray.Dataset:
    """Open the units that an experiment recorded (``save_responses: unit``), without reading their activity.

    Args:
        run: a run's id, or the path of a file ``units.parquet``.
        experiment: name of the experiment.
        layers: layers to open; None opens all.
        n_units: units of each layer, drawn without replacement; None takes all of them.
        seed: fixes the draw; a layer's units depend on the seed and the layer alone.
        results: folder of results.

    Returns:
        The Dataset described above, lazy: values are read when they are asked for.

    Raises:
        InputError: there is no such file, it is damaged, or it has no such layer.
    """
    check_extra("recordings", "an array with labels", "xarray")
    from xarray.core import indexing

    path = (
        Path(run)
        if str(run).endswith(".parquet")
        else Path(results) / "experiments" / experiment / run / "units.parquet"
    )
    source = UnitFile(path, layers, n_units, seed)
    values = indexing.LazilyIndexedArray(_lazy(source))
    return labelled_responses(values, source.times, source.presentation, source.unit, **source.attributes)


class UnitFile:
    """A Parquet file of units as one array (presentation, unit, time).

    Attributes:
        shape: of the array.
        times: ms, ascending.
        presentation, unit: coordinates by name.
        attributes: ``run_id``, ``experiment`` and ``parameter``.
    """

    def __init__(self, path: Path, layers: Sequence[str] | None, n_units: int | None, seed: int) -> None:
        self.path = path
        try:
            self._file = pq.ParquetFile(path)
            shapes = json.loads((self._file.schema_arrow.metadata or {})[SHAPES])
            keys = self._file.read(columns=[*KEYS, "run_id", "experiment", "parameter"]).to_pandas()
        except FileNotFoundError:
            raise InputError(
                f"there are no units in {path}; run the experiment with save_responses: unit, and name it here"
            ) from None
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path} is not a file of units: {message_of(error)}") from None
        for layer in layers or ():
            if layer not in shapes:
                raise unknown_name("layer", layer, shapes, key="layers")
        self.layers = list(layers or shapes)
        self._chosen = {
            name: draw_units(name, int(np.prod(shapes[name])), n_units, seed) for name in self.layers
        }
        self._sizes = {name: int(np.prod(shapes[name])) for name in self.layers}
        self.times = np.unique(keys["time_ms"].to_numpy(dtype=float))
        shown = (
            keys[["value", "image", "label"]].drop_duplicates().sort_values(["value", "image"], kind="stable")
        )
        self.presentation = {
            "image": shown["image"].to_numpy(),
            "label": shown["label"].to_numpy(),
            "condition": shown["value"].to_numpy(dtype=float),
        }
        self.unit = unit_coordinates(self._chosen, shapes)
        self.attributes = {name: str(keys[name].iloc[0]) for name in ("run_id", "experiment", "parameter")}
        self.shape = (len(shown), len(self.unit["layer"]), len(self.times))
        self._starts = np.cumsum([0, *(len(self._chosen[name]) for name in self.layers)])
        rows = shown.reset_index(drop=True).reset_index(names="row").set_index(["value", "image"])["row"]
        keys["row"] = rows.loc[list(zip(keys["value"], keys["image"], strict=True))].to_numpy()
        keys["column"] = np.searchsorted(self.times, keys["time_ms"].to_numpy(dtype=float))
        counts = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        keys["group"] = np.repeat(np.arange(len(counts)), counts)
        keys["at"] = np.concatenate([np.arange(count) for count in counts])
        self._index = {str(name): part for name, part in keys.groupby("layer", observed=True)}
        self._open: dict[int, np.ndarray] = {}

    def read(self, presentations: np.ndarray, units: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return the values at the given places along the three axes; zero where a layer had not started."""
        out = np.zeros((len(presentations), len(units), len(times)), dtype=np.float32)
        row_of = np.full(self.shape[0], -1)
        row_of[presentations] = np.arange(len(presentations))
        time_of = np.full(self.shape[2], -1)
        time_of[times] = np.arange(len(times))
        for i, layer in enumerate(self.layers):
            inside = np.flatnonzero((units >= self._starts[i]) & (units < self._starts[i + 1]))
            if not len(inside) or layer not in self._index:
                continue
            columns = self._chosen[layer][units[inside] - self._starts[i]]
            wanted = self._index[layer]
            wanted = wanted[(row_of[wanted["row"]] >= 0) & (time_of[wanted["column"]] >= 0)]
            for group, part in wanted.groupby("group"):
                activity = self._decode(int(group), self._sizes[layer])[part["at"].to_numpy()]
                rows, steps = row_of[part["row"]], time_of[part["column"]]
                out[rows[:, None], inside[None, :], steps[:, None]] = activity[:, columns]
        return out

    def _decode(self, group: int, size: int) -> np.ndarray:
        if group not in self._open:
            while len(self._open) >= KEEP_OPEN:
                self._open.pop(next(iter(self._open)))
            column = self._file.read_row_group(group, columns=["units"])["units"].combine_chunks()
            self._open[group] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)
        return self._open[group]


def draw_units(layer: str, size: int, n_units: int | None, seed: int) -> np.ndarray:
    """Return the units to keep of a layer of ``size`` units, ascending; they depend on the seed and the layer alone."""
    if n_units is not None and n_units < 1:
        raise InputError(f"n_units={n_units!r} units of {layer} must be at least 1; None takes all of them")
    if n_units is None or n_units >= size:
        return np.arange(size)
    random = np.random.default_rng([seed, *layer.encode()])
    return np.sort(random.choice(size, n_units, replace=False))


def unit_coordinates(
    chosen: Mapping[str, np.ndarray], shapes: Mapping[str, Sequence[int]]
) -> dict[str, np.ndarray]:
    """Return layer, channel, row and column of the chosen units of layers of shape (C, H, W) or (K,), in order."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("layer", "channel", "row", "column")}
    for layer, units in chosen.items():
        places = np.unravel_index(units, [*shapes[layer], *[1] * (3 - len(shapes[layer]))])
        found["layer"].append(np.full(len(units), layer, dtype=object))
        for name, values in zip(("channel", "row", "column"), places, strict=True):
            found[name].append(values)
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    return {**joined, "layer": joined["layer"].astype(str)}


def _lazy(source: UnitFile) -> Any:
    """Return the file as an array that xarray can index before anything is read."""
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class LazyUnits(BackendArray):
        shape, dtype = source.shape, np.dtype(np.float32)

        def __getitem__(self, key: Any) -> Any:
            return indexing.explicit_indexing_adapter(
                key, self.shape, indexing.IndexingSupport.OUTER, self._values
            )

        def _values(self, key: tuple[Any, ...]) -> np.ndarray:
            places = [np.arange(n)[k] for n, k in zip(self.shape, key, strict=True)]
            values = source.read(*(np.atleast_1d(place) for place in places))
            return values[tuple(0 if np.ndim(place) == 0 else slice(None) for place in places)]

    return LazyUnits()


def extract_responses(
    model: Any,
    images: torch.Tensor | np.ndarray,
    layers: Sequence[str] | None = None,
    times_ms: Sequence[float] | None = None,
    n_units: int | None = None,
    seed: int = 0,
    labels: Sequence[Any] | None = None,
    names: Sequence[Any] | None = None,
    batch_size: int = 32,
) -> xarray.Dataset:
    """Show images to a model, and return the activity of its layers in time.

    Args:
        model: any model of the package, or one derived from its base classes; it is run in evaluation mode, without
            gradients, and left in the mode that it was in.
        images: (N, C, H, W), normalized as the model was trained; or videos (N, T, C, H, W).
        layers: layers to keep, among them ``model.classifier_name`` for the outputs; None keeps all of them.
        times_ms: times to keep, in ms from the beginning of the presentation, each at the end of a step; None keeps all.
        n_units: units of each layer, drawn without replacement; None takes all of them. A layer's units depend on ``seed``
            and the layer alone, as in :func:`open_responses`.
        seed: fixes the draw.
        labels: class of each image, (N,); -1 where None.
        names: what identifies each image, (N,); its number where None.
        batch_size: images that are shown at once.

    Returns:
        ``response`` (presentation, unit, time_ms), float32, with the coordinates of :mod:`dynvision.recordings.responses`.
        A layer is zero until it starts.

    Raises:
        InputError: a layer that the model does not have, a time between two steps or after the trial, images of another
            shape than the model takes, or ``labels`` and ``names`` of another length than ``images``.
    """
    import torch

    shown = torch.as_tensor(images)
    known = (*model.chain, model.classifier_name)
    for layer in layers or ():
        if layer not in known:
            raise unknown_name("layer", layer, known, key="layers")
    for about, given in (("labels", labels), ("names", names)):
        if given is not None and len(given) != len(shown):
            raise InputError(f"{about} has {len(given)} entries for {len(shown)} images")
    if not len(shown) or batch_size < 1:
        raise InputError(
            f"{len(shown)} images in batches of {batch_size}: give at least one image, and at least 1"
        )
    reference = next(model.parameters())
    was_training = model.training
    model.eval()
    parts = []
    try:
        with torch.no_grad():
            for batch in shown.split(batch_size):
                collected = _DrawnUnits(layers, n_units, seed)
                outputs = model(batch.to(reference.device, reference.dtype), observer=collected)
                steps = _steps(times_ms, outputs.shape[1], model.dt)
                if layers is None or model.classifier_name in layers:
                    collected.add(model.classifier_name, 0, outputs)
                parts.append((collected, collected.values(outputs.shape[:2], steps)))
    finally:
        model.train(was_training)
    order = [name for name in known if name in parts[0][0].chosen]
    first = parts[0][0]
    unit = unit_coordinates({name: first.chosen[name] for name in order}, first.shapes)
    values = np.concatenate([np.concatenate([kept[name] for name in order], axis=1) for _, kept in parts])
    presentation = {
        "image": np.arange(len(shown)) if names is None else np.asarray(names),
        "label": np.full(len(shown), -1) if labels is None else np.asarray(labels),
        "condition": np.full(len(shown), np.nan),
    }
    return labelled_responses(values, (np.asarray(steps) + 1) * model.dt, presentation, unit)


class _DrawnUnits:
    """What an observer has seen of one batch: pieces of time of each layer, of the drawn units."""

    def __init__(self, layers: Sequence[str] | None, n_units: int | None, seed: int) -> None:
        self.layers, self.n_units, self.seed = layers, n_units, seed
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.chosen: dict[str, np.ndarray] = {}
        self._pieces: dict[str, list[tuple[int, np.ndarray]]] = {}

    def __call__(self, layer: str, frames: Any) -> None:
        if self.layers is None or layer in self.layers:
            values = frames.values.unflatten(0, (-1, frames.batch)).transpose(0, 1)
            self.add(layer, frames.first, values.expand(-1, frames.n, *values.shape[2:]))

    def add(self, layer: str, first: int, values: torch.Tensor) -> None:
        """Keep (B, n, ...) from step ``first`` on."""
        import torch

        if layer not in self.chosen:
            self.shapes[layer] = tuple(values.shape[2:])
            self.chosen[layer] = draw_units(layer, int(np.prod(values.shape[2:])), self.n_units, self.seed)
        units = torch.as_tensor(self.chosen[layer], device=values.device)
        kept = values.flatten(2).index_select(2, units).float().cpu().numpy()
        self._pieces.setdefault(layer, []).append((first, kept))

    def values(self, shape: Sequence[int], steps: Sequence[int]) -> dict[str, np.ndarray]:
        """Return (B, units, times) by layer."""
        found = {}
        for layer, pieces in self._pieces.items():
            whole = np.zeros((*shape, len(self.chosen[layer])), dtype=np.float32)
            for first, kept in pieces:
                whole[:, first : first + kept.shape[1]] = kept
            found[layer] = whole[:, steps].transpose(0, 2, 1)
        return found


def _steps(times_ms: Sequence[float] | None, n_steps: int, dt: float) -> list[int]:
    """Return the steps whose ends are the given times."""
    if times_ms is None:
        return list(range(n_steps))
    found = []
    for time in times_ms:
        step = round(float(time) / dt) - 1 if np.isfinite(time) else -1
        if not 0 <= step < n_steps or abs((step + 1) * dt - time) > 1e-6:
            raise InputError(
                f"times_ms holds {time:g}; a sample is labelled by the end of its step: {dt:g}, {2 * dt:g}, ... "
                f"{n_steps * dt:g} ms"
            )
        found.append(step)
    return found
