"""What is told of a model beside its answers, and the errors of models that answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from dynvision.errors import InputError


class ModelLoadError(InputError):
    """A model cannot be loaded: the message says what was given and what to do."""


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
