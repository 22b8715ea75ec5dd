"""A unit of a layer of a network, to experiment on as on a single neuron (:mod:`dynvision.neurons.experiments`).

    frame(t) = I(t) x                        x an image of noise, fixed by a seed, of mean 0 and standard deviation 1

I(t) is the contrast of the image. Whatever the layer and those before it do in time is in the response: leak, delays,
recurrence, adaptation, normalisation. The unit is the one of the layer that responds most, at the end of a step of
contrast 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dynvision.base.observers import units_and_steps
from dynvision.errors import InputError, unknown_name
from dynvision.neurons.experiments import Signals, Unit

PROBE_STEPS = 60
MOST_AT_ONCE = 2**24  # values of films, 64 MiB


def unit_of_layer(model: Any, layer: str | None = None, seed: int = 0) -> Unit:
    """The unit of a layer that responds most to an image of noise.

    Args:
        model: any network of the package; it is run in evaluation mode and left in the mode that it was in.
        layer: its name; None is the first.
        seed: of the image.

    Raises:
        InputError: the model has no such layer, or nothing in it responds.
    """
    layers = tuple(model.chain)
    layer = layers[0] if layer is None else layer
    if layer not in layers:
        raise unknown_name("layer", layer, layers, key="--layer")
    like = next(model.parameters())
    shape = tuple(model.input_dims)[-3:]
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(shape, generator=generator).to(like)
    probe = _activity(model, layer, np.ones((1, PROBE_STEPS)), image, None)
    final = probe[0, -1]
    chosen = int(final.argmax())
    if not final[chosen] > 0:
        raise InputError(
            f"no unit of {layer} responds within {PROBE_STEPS * model.dt:g} ms to noise; give another layer or seed"
        )

    def respond(signals: Signals) -> Signals:
        at_once = max(1, MOST_AT_ONCE // (signals.shape[1] * image.numel()))
        parts = [signals[k : k + at_once] for k in range(0, len(signals), at_once)]
        return np.concatenate([_activity(model, layer, part, image, chosen)[..., 0] for part in parts])

    name = f"{type(model).__name__}, a unit of {layer}"
    return Unit(name, float(model.dt), respond, "contrast (sd of the image)", "activity (a.u.)")


def _activity(model: Any, layer: str, signals: Signals, image: torch.Tensor, unit: int | None) -> Signals:
    """Activity of a unit of a layer, (K, T, 1), or of all its units, (K, T, units), for contrasts (K, T)."""
    contrast = torch.as_tensor(signals).to(image)
    pieces: list[tuple[int, np.ndarray]] = []

    def observe(name: str, frames: Any) -> None:
        if name != layer:
            return
        values = units_and_steps(frames)
        values = values.expand(-1, frames.n, *values.shape[2:]).flatten(2)
        kept = values if unit is None else values[..., unit : unit + 1]
        pieces.append((frames.first, kept.double().cpu().numpy()))

    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(contrast[..., None, None, None] * image, observer=observe)
    finally:
        model.train(was_training)
    made = np.zeros((*signals.shape, pieces[0][1].shape[2]))  # zero until the layer starts
    for first, kept in pieces:
        within = kept[:, : max(0, signals.shape[1] - first)]  # residual steps come after the signals
        made[:, first : first + within.shape[1]] = within
    return made
