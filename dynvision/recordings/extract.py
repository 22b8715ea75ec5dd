"""Activity of any model for an array of images, as labelled responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dynvision.errors import InputError, unknown_name
from dynvision.recordings.responses import draw_units, labelled_responses, unit_coordinates

if TYPE_CHECKING:
    import torch
    import xarray


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
    """Steps whose ends are the given times."""
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
