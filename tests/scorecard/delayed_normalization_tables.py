"""Tables of responses of delayed-normalisation models: what the protocols would give on cortex itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dynvision.analysis.delayed_normalization import DelayedNormalization

DT = 1.0
HUMAN = {
    "V1": DelayedNormalization(17, 132, 1.00, 0.32, latency_ms=30),
    "V4": DelayedNormalization(49, 269, 1.03, 0.36, latency_ms=40),
    "IT": DelayedNormalization(82, 390, 0.97, 0.34, latency_ms=50),
}
CONTRASTS = (0.0625, 0.125, 0.25, 0.5, 1.0)
DURATIONS = (17.0, 33, 67, 133, 267, 533)
GAPS = (0.0, 17, 33, 67, 133, 267, 533, 1067)
PULSE_MS = 133.0
PROTOCOLS = ("contrast", "duration", "interval")


def amplitudes(protocol: str, dt: float = DT) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (V,), times in ms (T,) and contrast of the stimulus at each (V, T)."""
    time = np.arange(-10, 1200 if protocol == "interval" else 1000, dt) + dt

    def pulse(onset: float, duration: float) -> np.ndarray:
        return ((time > onset) & (time <= onset + duration)).astype(float)

    if protocol == "contrast":
        values, shown = CONTRASTS, [contrast * pulse(0, 500) for contrast in CONTRASTS]
    elif protocol == "duration":
        values, shown = DURATIONS, [pulse(0, duration) for duration in DURATIONS]
    else:
        values = GAPS
        shown = [np.maximum(pulse(0, PULSE_MS), pulse(PULSE_MS + gap, PULSE_MS)) for gap in GAPS]
    return np.array(values), time, np.stack(shown)


def response_table(
    protocol: str, layers: Mapping[str, DelayedNormalization], n_images: int = 4, spread: float = 0.1
) -> pd.DataFrame:
    """Responses of a run with one model a layer, each image with a gain of its own."""
    values, time, amplitude = amplitudes(protocol)
    gains = 1 + spread * np.linspace(-1, 1, n_images)
    parts = []
    for layer, model in layers.items():
        response = np.stack([gain * model.response(amplitude, DT) for gain in gains], axis=1)  # (V, I, T)
        shape = response.shape
        parts.append(
            pd.DataFrame(
                {
                    "value": np.repeat(values, shape[1] * shape[2]),
                    "image": np.tile(np.repeat(np.arange(n_images), shape[2]), shape[0]),
                    "layer": layer,
                    "time_ms": np.tile(time, shape[0] * shape[1]),
                    "stimulus_on": np.repeat(amplitude[:, None] > 0, shape[1], axis=1).ravel(),
                    "mean": response.ravel(),
                }
            )
        )
    parameter = {"contrast": "contrast", "duration": "duration_ms", "interval": "gap_ms"}[protocol]
    table = pd.concat(parts, ignore_index=True)
    table["layer"] = pd.Categorical(table["layer"], list(layers))
    return table.assign(run_id="cortex", experiment=f"{protocol}_ecog", parameter=parameter)
