"""What is told of a model beside its answers."""

from __future__ import annotations

from dataclasses import dataclass, field


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
