"""What a network is compared with: recordings in time and trials of observers, by name in ``comparisons``.

    comparisons:
      ecog:
        experiment: contrast            its block has save_responses: unit
        data: recordings/ecog.nc
        method: rsa
        pairs: scorecard

Each is a step of the workflow for every run whose experiments include ``experiment``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import field_validator, model_validator

from dynvision.config.measures import ScorecardConfig
from dynvision.config.section import OneOf, Section, key
from dynvision.errors import InputError
from dynvision.registry import Registry

METHODS: dict[str, str] = {
    "rsa": "correlation of the dissimilarities between images",
    "encoding": "correlation of the recording and its prediction by ridge regression, on images that were left out",
    "cka": "linear centred kernel alignment",
    "behaviour": "decisions of the network and of human observers, image by image",
}
# When a network decides: the bound by default, the column of the table of guesses that reaches it, and that of the answer.
DECISIONS: dict[str, tuple[float, str, str]] = {
    "confidence": (0.5, "confidence", "guess"),
    "entropy": (1.0, "entropy_bits", "guess"),
    "accumulation": (20.0, "evidence_ms", "evidence_guess"),
}
ROUNDING_MS = 1e-3  # of evidence, which is a sum that is stored in single precision
# What computes them; imported when it is looked up, so that planning imports nothing of it.
DISTANCES: Registry[Any] = Registry("distance", key="distance")
SCORES: Registry[Any] = Registry("score", key="score")
for _name in ("correlation", "euclidean", "crossnobis"):
    DISTANCES.add(_name, f"dynvision.recordings.similarity:{_name}_distances")
for _name, _place in {
    "spearman": "ranked_unit",
    "correlation": "centred_unit",
    "cosine": "plain_unit",
}.items():
    SCORES.add(_name, f"dynvision.recordings.similarity:{_place}")
ALL, SCORECARD, BEHAVIOUR = "all", "scorecard", "behaviour"
FEWEST_PERMUTATIONS = 20
ONLY_OF_BEHAVIOUR = ("decision", "bound")
NOT_OF_BEHAVIOUR = (
    "distance", "score", "layers", "areas", "pairs", "n_units", "bin_ms", "n_permutations",
)  # fmt: skip

Method = Literal["rsa", "encoding", "cka", "behaviour"]
Pairs = Literal["all", "scorecard"] | dict[str, tuple[str, ...]]


class ComparisonConfig(Section):
    """One comparison of a network's responses with a recording, at every pair of times."""

    experiment: str = key(
        ..., "experiment that is compared; its block has save_responses: unit, except for behaviour"
    )
    data: str = key(
        ...,
        "recording: *.nc, *.zarr, *.npz, *.csv, or a folder of BIDS derivatives; of behaviour a *.csv of trials",
        min_length=1,
    )
    method: Method = key("rsa", "; ".join(f"{name}: {about}" for name, about in METHODS.items()))
    distance: Annotated[str, OneOf(DISTANCES)] = key(
        "correlation", "distance of the patterns of two images, for rsa; crossnobis needs repetitions"
    )
    score: Annotated[str, OneOf(SCORES)] = key("spearman", "score of two dissimilarity matrices, for rsa")
    layers: tuple[str, ...] = key((), "layers that are compared; empty: all")
    areas: tuple[str, ...] = key((), "areas that are compared; empty: all")
    pairs: Pairs = key(
        ALL,
        "which layer meets which areas: all, scorecard (as in its section), or lists of areas by layer",
    )
    value: float | None = key(
        None, "value of the experiment's parameter that is compared; needed if the experiment has several"
    )
    n_units: int = key(0, "units of each layer, drawn with the seed; 0 takes all", ge=0)
    bin_ms: float = key(
        0.0, "width of the bins of time in which both sides are averaged; 0: none", "ms", ge=0
    )
    n_permutations: int = key(
        200, "shuffles of the images for the inference over clusters; 0 does without", ge=0
    )
    seed: int = key(0, "of units, folds, shuffles and halves", ge=0)
    images: Literal["index", "path", "name", "stem"] = key(
        "index",
        "what names an image in data: its index in the data set, or of image files the path below their folder, the name, "
        "or the name without its ending",
    )
    decision: Literal["confidence", "entropy", "accumulation"] = key(
        "confidence", "when the network decides, for behaviour"
    )
    bound: float | None = key(
        None, "of the decision: a probability (.5), bits (1) or ms of certainty (20); null takes these"
    )

    @field_validator("layers", "areas", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("pairs", mode="before")
    @classmethod
    def _pairs_are_lists(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {layer: (areas,) if isinstance(areas, str) else areas for layer, areas in value.items()}
        if value not in (ALL, SCORECARD):
            raise InputError(f"pairs={value!r}: give {ALL}, {SCORECARD}, or lists of areas by layer")
        return value

    @field_validator("n_permutations", mode="after")
    @classmethod
    def _permutations_resolve_a_threshold(cls, value: int) -> int:
        if 0 < value < FEWEST_PERMUTATIONS:
            raise InputError(
                f"n_permutations={value} is too few for a threshold at 95 % of chance; give 0 or at least "
                f"{FEWEST_PERMUTATIONS}"
            )
        return value

    @model_validator(mode="after")
    def _keys_belong_to_the_method(self) -> ComparisonConfig:
        for name in NOT_OF_BEHAVIOUR if self.method == BEHAVIOUR else ONLY_OF_BEHAVIOUR:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise InputError(f"{name} means nothing for method: {self.method}; remove it")
        return self

    def committed(self, model: str, scorecard: ScorecardConfig) -> ComparisonConfig:
        """Return the comparison with its pairs written out, where they are those of the scorecard.

        Args:
            model: name of the network.
            scorecard: has the areas of each layer.

        Raises:
            InputError: the scorecard has no layer of this model.
        """
        if self.pairs != SCORECARD:
            return self
        areas = scorecard.areas_of(model)
        if not areas:
            raise InputError(
                f"pairs={SCORECARD}: scorecard.areas and scorecard.models have no layer of {model}"
            )
        return self.model_copy(update={"pairs": areas})
