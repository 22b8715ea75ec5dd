"""What a network says about one image, over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynvision.analysis.reaction_time import reaction_time_confidence_ms


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """Class probabilities over time, and what they come to.

    Attributes:
        time_ms: of each output, from stimulus onset, (T,).
        probabilities: of each class at each time, (T, K), a softmax of the outputs.
        class_names: by class index, K.
        final: the step whose output is the answer: the last one that the run's test scores.
    """

    time_ms: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    class_names: tuple[str, ...]
    final: int

    def __repr__(self) -> str:
        n_steps, n_classes = self.probabilities.shape
        return (
            f"Prediction({self.class_name!r}, probability {self.probability:.3f}, decision at {self.decision_ms:g} ms; "
            f"{n_steps} steps, {n_classes} classes)"
        )

    @property
    def label(self) -> int:
        """Index of the most probable class at the end; among equals the first."""
        return int(self.probabilities[self.final].argmax())

    @property
    def class_name(self) -> str:
        """Its name."""
        return self.class_names[self.label]

    @property
    def probability(self) -> float:
        """Its probability."""
        return float(self.probabilities[self.final, self.label])

    @property
    def decision_ms(self) -> float:
        """When one class first has half the probability, in ms from stimulus onset; NaN if that never is so."""
        return float(reaction_time_confidence_ms(self.probabilities.max(axis=1), self.time_ms))

    def table(self) -> pd.DataFrame:
        """A row for each time and class: ``time_ms``, ``class_name``, ``probability``."""
        n_steps, n_classes = self.probabilities.shape
        return pd.DataFrame(
            {
                "time_ms": np.repeat(self.time_ms, n_classes),
                "class_name": np.tile(np.array(self.class_names), n_steps),
                "probability": self.probabilities.ravel(),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """What can be written as JSON: the answer, and times and probabilities as lists; a time that is not is None."""
        return {
            "class": self.label,
            "class_name": self.class_name,
            "probability": self.probability,
            "decision_ms": None if np.isnan(self.decision_ms) else self.decision_ms,
            "time_ms": self.time_ms.tolist(),
            "class_names": list(self.class_names),
            "probabilities": self.probabilities.tolist(),
        }
