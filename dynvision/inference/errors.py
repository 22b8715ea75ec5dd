"""What goes wrong with a model that answers."""

from __future__ import annotations

from dynvision.errors import InputError


class ModelLoadError(InputError):
    """A model cannot be loaded: the message says what was given and what to do."""


class ModelInferenceError(RuntimeError):
    """A model cannot answer: nothing is loaded, or its forward pass failed; the cause is chained."""
