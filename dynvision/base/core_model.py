"""Mixins without Lightning: one dtype and device for a model, storage of responses; and the models composed of them.

Responses are what the layers of a model did, kept on the CPU, and returned as tensors or as tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dynvision.base.inputs import reference
from dynvision.base.monitoring import Monitoring
from dynvision.base.observers import Recordable, Recording, TrialRecorder, TrialShape
from dynvision.base.temporal_base import TemporalBase
from dynvision.errors import InputError, unknown_name
from dynvision.units import steps_to_ms

if TYPE_CHECKING:
    import pandas as pd

CREATION_METHODS: dict[str, Callable[..., Tensor]] = {
    "randn": torch.randn,
    "zeros": torch.zeros,
    "ones": torch.ones,
}


class DtypeDeviceCoordinator:
    """Creates tensors that fit a model, and brings all of a model to one dtype and device."""

    def create_aligned_tensor(
        self, size: Sequence[int], creation_method: str = "randn", **kwargs: Any
    ) -> Tensor:
        """A tensor of the model's dtype and device.

        Args:
            size: its shape.
            creation_method: ``randn``, ``zeros`` or ``ones``.
            **kwargs: further arguments of the torch function; they overrule dtype and device.

        Raises:
            InputError: an unknown creation method.
        """
        if creation_method not in CREATION_METHODS:
            raise unknown_name("creation_method", creation_method, CREATION_METHODS)
        like = self._reference()
        return CREATION_METHODS[creation_method](
            tuple(size), **{"dtype": like.dtype, "device": like.device, **kwargs}
        )

    def propagate_dtype_sync(self) -> None:
        """Bring all parameters and buffers to the dtype and device of the first parameter."""
        assert isinstance(self, nn.Module)
        like = self._reference()
        self.to(device=like.device, dtype=like.dtype)

    def _reference(self) -> Tensor:
        """The first floating-point parameter; a model without one is as torch creates tensors by default."""
        assert isinstance(self, nn.Module)
        found = reference(self)
        return torch.empty(0) if found is None else found


DEFAULT_IMAGES = 64
DEFAULT_BYTES = 2**30
CALL = "call"  # outside a trainer
STAGES = (CALL, "train", "val", "test", "predict")


class StorageBuffer(Recordable):
    """Keeps responses of the first images that a model is shown. What the model computes stays the same.

    Every call of the model is recorded until ``store_responses`` images or ``max_stored_bytes`` are reached; a warning
    then states once that no more is kept. With ``store_responses=0`` only calls with ``store_responses=True`` are recorded.

    Args:
        store_responses: number of images whose responses are kept; True keeps 64.
        store_layers: names of the layers to keep; by default every layer with the operation ``record``. The outputs
            are always kept, under the name of the classifier.
        response_resolution: ``unit`` keeps full tensors, ``layer`` the mean and sd over units of |r|.
        max_stored_bytes: bound on the memory of the responses, by default 1 GiB.
    """

    def __init__(
        self,
        store_responses: int = 0,
        store_layers: Sequence[str] | None = None,
        response_resolution: str = "unit",
        max_stored_bytes: int = DEFAULT_BYTES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.store_responses = DEFAULT_IMAGES if store_responses is True else int(store_responses)
        if self.store_responses < 0 or max_stored_bytes < 0:
            raise InputError(
                f"store_responses={store_responses} images and max_stored_bytes={max_stored_bytes} must not be negative"
            )
        self.store_layers, self.response_resolution = store_layers, response_resolution
        self.max_stored_bytes = int(max_stored_bytes)
        self._stage = CALL
        self._recordings = {stage: self._new_recording() for stage in STAGES}
        self._labels: Tensor | None = None

    # --- keeping ----------------------------------------------------------------------------------------------------

    def open_recording(self, trial: TrialShape, store_responses: bool) -> TrialRecorder | None:
        """Return a recorder for the next trial, if responses are wanted and there is room."""
        if not (store_responses or self.store_responses):
            return None
        labels, self._labels = self._labels, None
        return self._recordings[self._stage].open(trial, labels)

    def expect_labels(self, labels: Tensor | None) -> None:
        """Set the labels of the next trial that is recorded.

        Args:
            labels: class at every output step, (B, T), -1 where it does not count; or (B,), the same at every step.
                None where they are not known.
        """
        self._labels = labels

    def clear_responses(self) -> None:
        """Forget the responses of the stage that ran last, so that the next calls are kept anew."""
        before, new = self._recordings[self._stage], self._new_recording()
        new.said_full = before.said_full
        self._recordings[self._stage] = new

    def _new_recording(self) -> Recording:
        max_images = self.store_responses or DEFAULT_IMAGES
        return Recording(max_images, self.max_stored_bytes, self.response_resolution, self.store_layers)

    # --- handing out ------------------------------------------------------------------------------------------------

    def recording(self, stage: str | None = None) -> Recording:
        """The recording of a stage: ``call``, ``train``, ``val``, ``test``, ``predict``; else the last.

        Raises:
            InputError: there is no such stage.
        """
        if stage is not None and stage not in self._recordings:
            raise unknown_name("stage", stage, STAGES)
        return self._recordings[self._stage if stage is None else stage]

    def get_responses(self, stage: str | None = None) -> dict[str, Tensor]:
        """Stored responses.

        Args:
            stage: as for :meth:`recording`.

        Returns:
            By name, on the CPU, N images and T output steps: the outputs (N, T, K) under the classifier's name, and for
            each layer its activity (N, T, C, H, W), or ``{layer}_mean`` and ``{layer}_sd`` (N, T). A layer is zero before
            it starts. Empty if nothing is stored.
        """
        return self.recording(stage).responses()

    def get_dataframe(self, layer_name: str = "classifier", stage: str | None = None) -> pd.DataFrame:
        """Stored responses as a long table: one row for each image and output step.

        Args:
            layer_name: ``classifier``, or a layer.
            stage: as for :meth:`recording`.

        Returns:
            Columns sample, time_ms (end of the step; 0 is the start of the presentation), label (-1 where it is not
            scored), guess and confidence (probability of the guess; -1 and NaN where outputs are not finite), and logit_0,
            logit_1, ... or for a layer the mean and sd over units of |r|.

        Raises:
            InputError: nothing is stored, or not that layer.
        """
        import numpy as np
        import pandas as pd  # imported here: only a table needs it

        recording, dt = self.recording(stage), self.dt  # type: ignore[attr-defined]
        if not recording.n_images:
            raise InputError(
                "no responses are stored; set store_responses to a number of images, or call the model with it"
            )
        responses = recording.responses()
        logits = responses[recording.classifier].float()
        finite = logits.isfinite().all(dim=-1)
        confidence, guess = logits.softmax(dim=-1).max(dim=-1)
        confidence, guess = confidence.where(finite, torch.nan), guess.where(finite, -1)
        n_images, n_steps = guess.shape
        columns = {
            "sample": np.repeat(np.arange(n_images), n_steps),
            "time_ms": np.tile([steps_to_ms(t + 1, dt) for t in range(n_steps)], n_images),
            "label": recording.labels.flatten().numpy(),
            "guess": guess.flatten().numpy(),
            "confidence": confidence.flatten().numpy(),
        }
        values = _of_layer(responses, layer_name, recording.classifier)
        return pd.DataFrame(columns | {name: tensor.flatten().numpy() for name, tensor in values.items()})

    def get_classifier_dataframe(self) -> pd.DataFrame:
        """The outputs as :meth:`get_dataframe` gives them."""
        return self.get_dataframe()


def _of_layer(responses: dict[str, Tensor], layer: str, classifier: str) -> dict[str, Tensor]:
    """Columns (N, T) for the outputs, or for a layer whose activity or measures are stored."""
    if layer in ("classifier", classifier):
        return {f"logit_{k}": logits for k, logits in enumerate(responses[classifier].float().unbind(dim=-1))}
    if f"{layer}_mean" in responses:
        return {"mean": responses[f"{layer}_mean"], "sd": responses[f"{layer}_sd"]}
    if layer not in responses:
        stored = {name.removesuffix("_mean").removesuffix("_sd") for name in responses}
        raise unknown_name("stored layer", layer, stored, key="store_layers")
    sd, mean = torch.std_mean(responses[layer].abs().flatten(2).float(), dim=2, correction=0)
    return {"mean": mean, "sd": sd}


class CoreModel(TemporalBase, DtypeDeviceCoordinator):
    """Neural network with device coordination only."""


class MonitoredModel(TemporalBase, Monitoring, DtypeDeviceCoordinator):
    """Neural network with monitoring but no Lightning integration."""


def choose_device(accelerator: str) -> torch.device:
    """The device for ``execution.accelerator``: ``auto`` is a GPU if there is one.

    Raises:
        InputError: a GPU is asked for and there is none.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError("execution.accelerator=gpu, but torch finds no GPU here; set it to auto or cpu")
    return torch.device("cpu" if accelerator == "cpu" or not torch.cuda.is_available() else "cuda")
