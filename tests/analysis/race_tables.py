"""Tables of guesses of networks whose classes have constant probabilities, so that every race has a closed form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from dynvision.experiments.outcomes import outcomes

TIME = np.arange(-1, 101) * 2.0  # -2 to 200 ms


def raced(p: np.ndarray, labels: list[int], time_ms: np.ndarray = TIME) -> dict[str, np.ndarray]:
    """Columns (1, I, T) of images whose classes have constant probabilities (I, K)."""
    logits = torch.log(torch.tensor(p))[:, None].expand(-1, len(time_ms), -1)
    made = outcomes(logits, torch.tensor(labels), list(time_ms))
    made["label"] = np.broadcast_to(np.array(labels)[:, None], made["guess"].shape)
    return {name: values[None] for name, values in made.items()}


def guesses(
    columns: dict[str, np.ndarray], time_ms: np.ndarray = TIME, value: float = 0.5, parameter: str = "ssnr"
) -> pd.DataFrame:
    """The table of one run at one value, of arrays (1, I, T); the stimulus is on for 100 ms."""
    n_images, n_times = columns["guess"].shape[1:]
    fixed = {"run_id": "made", "experiment": "made", "parameter": parameter, "value": value}
    index = {"image": np.repeat(np.arange(n_images), n_times), "time_ms": np.tile(time_ms, n_images)}
    on = (index["time_ms"] > 0) & (index["time_ms"] <= 100)
    return pd.DataFrame({**fixed, **index, "stimulus_on": on, **{k: v.ravel() for k, v in columns.items()}})
