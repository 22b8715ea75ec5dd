"""Several models by name: loaded, found again, and cleaned up together."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynvision.errors import InputError, message_of, unknown_name
from dynvision.inference.config import InferenceConfig
from dynvision.inference.inference_model import InferenceModel
from dynvision.inference.prediction import ModelLoadError
from dynvision.inference.sources import SOURCES, check_settings, find_adapter


class ModelManager:
    """Models by name, in the order in which they were registered."""

    def __init__(self) -> None:
        self._models: dict[str, InferenceModel] = {}

    def register_model(self, name: str, model: InferenceModel) -> None:
        """Give a model a name.

        Raises:
            InputError: the name is another model's, or the model is none.
        """
        if not isinstance(name, str) or not name:
            raise InputError(f"name={name!r} must be a text that is not empty")
        if not isinstance(model, InferenceModel):
            raise InputError(
                f"model {name!r} must be a dynvision.inference.InferenceModel, not a {type(model).__name__}"
            )
        if self._models.get(name, model) is not model:
            raise InputError(f"a model named {name!r} is registered already; give this one another name")
        self._models[name] = model

    def get_model(self, name: str) -> InferenceModel:
        """Return a model by its name.

        Raises:
            InputError: there is none; the message has the nearest name.
        """
        if not self._models:
            raise InputError(f"there is no model {name!r}; no model is registered")
        if name not in self._models:
            raise unknown_name("model", name, self._models)
        return self._models[name]

    def list_models(self) -> list[str]:
        """Return the names of all models."""
        return list(self._models)

    def load_model(
        self, model_path: str | Path, config: InferenceConfig | None = None, name: str = "", **settings: Any
    ) -> InferenceModel:
        """Load a model by what its path is, optimise it, warm it up and register it.

        Args:
            model_path: the folder of a run, or its ``model.safetensors``.
            config: where and how to run.
            name: to register it under; by default that in its metadata (the run id), else the file's.
            **settings: of the adapter, e.g. ``data`` of `RunModel`.

        Raises:
            ModelLoadError: it cannot be loaded.
            InputError: the name is taken, or what is asked for is not possible here.
        """
        with _load_errors(str(model_path)):
            path = Path(model_path)
            adapter = find_adapter(path)
        check_settings(adapter, settings)
        model = adapter(InferenceConfig() if config is None else config, **settings)
        with _load_errors(str(path)):
            model.load_model(path)
        return self.take_in(model, name or (model.metadata.name if model.metadata else path.stem))

    def download_and_load_model(
        self, source: str, model_id: str, name: str, config: InferenceConfig | None = None, **settings: Any
    ) -> None:
        """Download a model, optimise it, warm it up and register it.

        Args:
            source: ``url``, ``torchvision``, ``huggingface`` or ``pytorch_hub``.
            model_id: an address, a name, or ``repository/model``, as the source has it.
            name: to register it under.
            config: where and how to run.
            **settings: of the source, e.g. ``sha256`` of ``url`` (see :mod:`dynvision.inference.sources`).

        Raises:
            ModelLoadError: it cannot be downloaded or loaded, or the source needs a package that is not there.
            InputError: the source is not known, or the name is taken.
        """
        download = SOURCES[source]
        self._check_free(name)
        check_settings(download, settings)
        with _load_errors(model_id):
            model = download(model_id, InferenceConfig() if config is None else config, **settings)
        self.take_in(model, name)

    def take_in(self, model: InferenceModel, name: str) -> InferenceModel:
        """Optimise a loaded model, warm it up and register it."""
        self._check_free(name)
        model.optimize_for_inference()
        model.warmup()
        self.register_model(name, model)
        return model

    def _check_free(self, name: str) -> None:
        if name in self._models:
            raise InputError(f"a model named {name!r} is registered already; give this one another name=")

    def cleanup_all(self) -> None:
        """Clean up every model and forget it."""
        for model in self._models.values():
            model.cleanup()
        self._models.clear()


@contextlib.contextmanager
def _load_errors(what: str) -> Iterator[None]:
    """Raise any error of loading as a `ModelLoadError`; the cause is chained."""
    try:
        yield
    except ModelLoadError:
        raise
    except Exception as error:  # from the code of a subclass, a repository or a package
        raise ModelLoadError(f"{what} cannot be loaded: {message_of(error)}") from error


@functools.cache
def get_model_manager() -> ModelManager:
    """Return the manager that the whole program shares."""
    return ModelManager()
