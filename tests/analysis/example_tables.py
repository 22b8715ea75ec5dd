"""Tables of an experiment with known answers: leaky layers in a cascade that follow a pulse, scaled by image.

r_1(t) = c g (1 - exp(-t / tau))  while the stimulus is on, decaying with tau after it
r_l    = r_1 delayed by (l - 1) * DELAY_MS and scaled by 0.8 ** (l - 1)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

LAYERS = ("V1", "V2", "V4", "IT")
CONTRASTS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
DURATIONS = (4.0, 8.0, 16.0, 24.0, 32.0, 48.0)
SOAS = (16.0, 24.0, 40.0, 80.0)  # the mask of the last comes when the record has ended
MASK_MS = 20.0
DELAY_MS = 4.0
N_CLASSES = 10


def leaky_pulse(time_ms: np.ndarray, duration_ms: float, tau: float) -> np.ndarray:
    """Response of a leaky unit to a pulse of unit height from 0 to `duration_ms`, (T,)."""
    time = np.asarray(time_ms, dtype=float)
    rise = 1 - np.exp(-np.clip(time, 0, duration_ms) / tau)
    decay = np.exp(-np.clip(time - duration_ms, 0, None) / tau)
    return np.where(time < 0, 0.0, rise * decay)


def adapting_pulse(time_ms: np.ndarray, duration_ms: float, tau: float) -> np.ndarray:
    """A leaky response with a transient: an excitatory pulse less a slower and weaker one, (T,)."""
    fast, slow = leaky_pulse(time_ms, duration_ms, tau), leaky_pulse(time_ms, duration_ms, 5 * tau)
    return np.clip(fast - 0.6 * slow, 0, None)


def example_tables(
    run_id: str = "run",
    experiment: str = "contrast",
    parameter: str = "contrast",
    values: Sequence[float] = CONTRASTS,
    layers: Sequence[str] = LAYERS,
    n_images: int = 40,
    tau: float = 8.0,
    dt: float = 2.0,
    recorded_ms: float = 80.0,
    duration_ms: float = 40.0,
    seed: int = 0,
    adapting: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Responses and performance of one run, in the columns that experiments write."""
    rng = np.random.default_rng(seed)
    time_ms = np.arange(-1, round(recorded_ms / dt) + 1) * dt
    labels = np.arange(n_images) % N_CLASSES
    gain = rng.gamma(20, 1 / 20, n_images)
    pulse = adapting_pulse if adapting else leaky_pulse
    responses, performance = [], []
    for value in values:
        contrast = value if parameter == "contrast" else 1.0
        on_ms = {"duration_ms": value, "soa_ms": SOAS[0]}.get(parameter, duration_ms)
        on = (time_ms > 0) & (time_ms <= on_ms + 1e-9)
        masked = (time_ms > value) & (time_ms <= value + MASK_MS) if parameter == "soa_ms" else None
        strength = contrast**0.7
        for index, layer in enumerate(layers):
            shape = pulse(time_ms - index * DELAY_MS, on_ms, tau / (0.3 + 0.7 * contrast)) * 0.8**index
            response = (strength * shape)[None] * gain[:, None]
            rows = _rows(response, layer, value, on, time_ms, labels)
            responses.append(_with_shown(rows, masked))
        evidence = pulse(time_ms - len(layers) * DELAY_MS, on_ms, tau) * strength
        chance = 1 / N_CLASSES
        right = rng.random((n_images, 1)) < np.clip(chance + 0.95 * evidence, 0, 0.98)[None]
        guess = np.where(
            right, labels[:, None], (labels[:, None] + rng.integers(1, N_CLASSES, right.shape)) % N_CLASSES
        )
        performance.append(_with_shown(_guesses(guess, evidence, value, on, time_ms, labels), masked))
    tables = []
    for parts in (responses, performance):
        table = pd.concat(parts, ignore_index=True)
        for name, given in (("parameter", parameter), ("experiment", experiment), ("run_id", run_id)):
            table.insert(0, name, given)
        tables.append(table)
    tables[0]["layer"] = pd.Categorical(tables[0]["layer"], list(layers))
    return tables[0], tables[1]


def _with_shown(rows, masked):
    """What is on the screen, where masks are; tables of before had no such column."""
    if masked is None:
        return rows
    mask = np.tile(masked, len(rows) // len(masked))
    return rows.assign(shown=np.where(rows["stimulus_on"], "image", np.where(mask, "mask", "blank")))


def _rows(response, layer, value, on, time_ms, labels):
    n_images, n_times = response.shape
    return pd.DataFrame(
        {
            "value": value,
            "image": np.repeat(np.arange(n_images), n_times),
            "label": np.repeat(labels, n_times),
            "layer": layer,
            "time_ms": np.tile(time_ms, n_images),
            "stimulus_on": np.tile(on, n_images),
            "mean": response.ravel().astype(np.float32),
            "sd": (0.5 * response).ravel().astype(np.float32),
        }
    )


def _guesses(guess, evidence, value, on, time_ms, labels):
    n_images, n_times = guess.shape
    correct = guess == labels[:, None]
    confidence = np.tile(np.clip(0.1 + 0.8 * evidence, 0, 1).astype(np.float32), n_images)
    return pd.DataFrame(
        {
            "value": value,
            "image": np.repeat(np.arange(n_images), n_times),
            "label": np.repeat(labels, n_times),
            "time_ms": np.tile(time_ms, n_images),
            "stimulus_on": np.tile(on, n_images),
            "guess": guess.ravel(),
            "correct": correct.ravel(),
            "confidence": confidence,
            "label_confidence": confidence,
            "n_classes": N_CLASSES,
        }
    )
