"""The answer of a network to one image over time, the metadata of a model, and the errors of inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynvision.analysis.reaction_time import CONFIDENCE_THRESHOLD, reaction_time_confidence_ms
from dynvision.errors import InputError


class ModelLoadError(InputError):
    """A model cannot be loaded: the message states what was given and what to do."""


class ModelInferenceError(RuntimeError):
    """A model cannot answer: nothing is loaded, or its forward pass failed; the cause is chained."""


@dataclass
class ModelMetadata:
    """Name, version and shapes of a model.

    Attributes:
        name: of the model.
        version: of the model, or of the program that trained it.
        model_type: what kind it is.
        input_shape: of one input, without the batch.
        output_shape: of one output, likewise.
        description, author, license: where they are known.
        tags: words to find it by.
    """

    name: str
    version: str
    model_type: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    description: str | None = None
    author: str | None = None
    license: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """Class probabilities over time, and the answer that they give.

    Attributes:
        time_ms: of each output, from stimulus onset, (T,).
        probabilities: of each class at each time, (T, K), a softmax of the outputs.
        class_names: by class index, K.
        final: the step whose output is the answer: the last one that the run's test scores.
        decision_threshold: probability of one class at which the network has decided.
        responses: activity of the layers that were asked for, (T, C, H, W) each; zero until a layer starts.
        saved_ms: time of the trial that was not computed, since the decision had been made.
    """

    time_ms: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    class_names: tuple[str, ...]
    final: int
    decision_threshold: float = CONFIDENCE_THRESHOLD
    responses: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    saved_ms: float = 0.0

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
        """When one class first has `decision_threshold` of the probability, in ms from stimulus onset; NaN if none has."""
        confidence = self.probabilities.max(axis=1)
        return float(reaction_time_confidence_ms(confidence, self.time_ms, self.decision_threshold))

    def table(self) -> pd.DataFrame:
        """Return a row for each time and class: ``time_ms``, ``class_name``, ``probability``."""
        n_steps, n_classes = self.probabilities.shape
        return pd.DataFrame(
            {
                "time_ms": np.repeat(self.time_ms, n_classes),
                "class_name": np.tile(np.array(self.class_names), n_steps),
                "probability": self.probabilities.ravel(),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the answer, times and probabilities in a form for JSON; a decision that was not made is None."""
        return {
            "class": self.label,
            "class_name": self.class_name,
            "probability": self.probability,
            "decision_ms": None if np.isnan(self.decision_ms) else self.decision_ms,
            "decision_threshold": self.decision_threshold,
            "saved_ms": self.saved_ms,
            "time_ms": self.time_ms.tolist(),
            "class_names": list(self.class_names),
            "probabilities": self.probabilities.tolist(),
        }


def check_threshold(value: Any) -> float:
    """Return a decision threshold as a float, after checking it.

    Raises:
        InputError: it is not above 0 and at most 1.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) <= 1:
        raise InputError(f"decision_threshold={value!r} must be a probability above 0 and at most 1")
    return float(value)
