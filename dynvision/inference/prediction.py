"""What a network says about one image, over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynvision.analysis.reaction_time import reaction_time_confidence_ms

NO_CLASS = -1  # not-a-number is never a class


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
        if self.label == NO_CLASS:
            return f"Prediction(none, since outputs are not finite; {n_steps} steps, {n_classes} classes)"
        return (
            f"Prediction({self.class_name!r}, probability {self.probability:.3f}, decision at {self.decision_ms:g} ms; "
            f"{n_steps} steps, {n_classes} classes)"
        )

    @property
    def label(self) -> int:
        """Index of the most probable class at the end; among equals the first; -1 where the outputs are not finite."""
        final = self.probabilities[self.final]
        return int(final.argmax()) if np.isfinite(final).all() else NO_CLASS

    @property
    def class_name(self) -> str:
        """Its name; empty where there is no answer."""
        return "" if self.label == NO_CLASS else self.class_names[self.label]

    @property
    def probability(self) -> float:
        """Its probability; NaN where there is no answer."""
        return float("nan") if self.label == NO_CLASS else float(self.probabilities[self.final, self.label])

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
