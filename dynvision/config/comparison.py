"""What a network is compared with: recordings in time, by name in ``comparisons``.

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

from pydantic import field_validator

from dynvision.config.measures import ScorecardConfig
from dynvision.config.section import OneOf, Section, key
from dynvision.errors import InputError
from dynvision.registry import Registry

METHODS: dict[str, str] = {
    "rsa": "correlation of the dissimilarities between images",
    "encoding": "correlation of the recording and its prediction by ridge regression, on images that were left out",
    "cka": "linear centred kernel alignment",
}
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
ALL, SCORECARD = "all", "scorecard"

Method = Literal["rsa", "encoding", "cka"]
Pairs = Literal["all", "scorecard"] | dict[str, tuple[str, ...]]


class ComparisonConfig(Section):
    """One comparison of a network's responses with a recording, at every pair of times."""

    experiment: str = key(..., "experiment whose units are compared; its block has save_responses: unit")
    data: str = key(
        ..., "recording: *.nc, *.zarr, *.npz, *.csv, or a folder of BIDS derivatives", min_length=1
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
    seed: int = key(0, "of units, folds and shuffles", ge=0)

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


FEWEST_PERMUTATIONS = 20
