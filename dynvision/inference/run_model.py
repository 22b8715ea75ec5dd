"""A trained run that answers images: class probabilities over time, as the run's own test computes them.

Images are shown as the run's test images are (size, channels, storage, test transforms, normalisation), in the trial of its
test: idle time, the unshuffled presentation pattern, residual time. Other contrasts and durations are an experiment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.plugins.precision import Precision
from torch import Tensor, nn

from dynvision.base import BaseModel as TrainableModel
from dynvision.base.monitoring import not_finite_since
from dynvision.data.images import fit_image
from dynvision.data.loader import transform_of
from dynvision.data.shown_images import ShownImages
from dynvision.data.storage import Storage
from dynvision.data.transform import Transform
from dynvision.errors import InputError
from dynvision.inference.base_model import BaseModel
from dynvision.inference.config import InferenceConfig
from dynvision.inference.errors import ModelInferenceError, ModelLoadError
from dynvision.inference.image_input import to_image
from dynvision.inference.metadata import ModelMetadata
from dynvision.inference.precision import precision_of
from dynvision.inference.prediction import Prediction
from dynvision.inference.run_files import find_run_files
from dynvision.models.build import build_model
from dynvision.models.weights import load_run_weights


class TrialNetwork(nn.Module):
    """A network in the trial of its test: images (B, C, H, W) in, outputs of every step (B, T, K) out."""

    def __init__(self, network: TrainableModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        unknown = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        return self.network.respond((images, unknown), shuffle=False).logits


class RunModel(BaseModel):
    """A trained run.

    Args:
        config: where and how to run; the default is a GPU if there is one.
        data: folder of the run's data; only weights that do not say how their images are shown need it.

    Attributes:
        run: the run's configuration, once it is loaded.
    """

    def __init__(self, config: InferenceConfig | None = None, data: str | Path | None = None) -> None:
        super().__init__(InferenceConfig() if config is None else config)
        self.data = data
        self.run: Any = None
        self._images: Any = None
        self._transform: Any = None
        self._precision: Precision = Precision()
        self._time_ms: NDArray[np.float64] = np.zeros(0)
        self._final = 0

    def load_model(self, model_path: str | Path) -> None:
        """Load a run.

        Args:
            model_path: its folder ``results/runs/{run_id}``, or its ``model.safetensors``.

        Raises:
            ModelLoadError: a file is missing, damaged or of another run, or the data are.
        """
        files = find_run_files(model_path, self.data)
        run, images = files.config, files.images
        name, precision = precision_of(run.training.precision, self.device, self.config.device.use_fp16)
        try:
            network = precision.convert_module(build_model(run, images.input_shape, images.n_classes))
            header = load_run_weights(network, files.weights, run.run_id)
        except InputError as error:
            raise ModelLoadError(str(error)) from None
        self.model = TrialNetwork(network.eval().to(self.device))  # type: ignore[arg-type]
        self.run, self._images, self._precision = run, images, precision
        self._transform = transform_of(images, "test", run.data, run.seed)
        self._compiled, self.optimizations = None, {"precision": name}
        self._clear_caches()
        n_steps = self._learn_times()
        self.metadata = ModelMetadata(
            name=run.run_id,
            version=header.get("dynvision", ""),
            model_type=run.model.name,
            input_shape=images.input_shape,
            output_shape=(n_steps, images.n_classes),
            description=f"{run.model.name} trained on {images.source}; outputs are over time, every {network.dt:g} ms",
            tags=[images.source],
        )
        self._is_loaded = True

    def preprocess(self, inputs: Any) -> Tensor:
        """One image as the run's test images are shown.

        Args:
            inputs: a path; a Pillow image; an array (H, W) or (H, W, C); a tensor (H, W) or (C, H, W).

        Returns:
            Normalised, on the device, (1, C, H, W).

        Raises:
            InputError: it is no image.
        """
        images = self._loaded_images()
        config = images.config
        pixels = fit_image(to_image(inputs, config.n_channels), config.stored_size)
        storage = Storage.of(config)
        if storage.probability == 1:  # of a part of the images only, no one can say whether this one is in it
            pixels = storage.stored(pixels, 0)
        shown: Transform = self._transform
        return shown(torch.from_numpy(pixels[None]).to(self.device), np.zeros(1, dtype=np.int64), 0)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs over time, (B, T, K), of images as `preprocess` gives them, (B, C, H, W)."""
        network = self.get_model_for_inference()
        with self._precision.forward_context():
            return network(self._precision.convert_input(inputs))

    def postprocess(self, outputs: Tensor) -> Prediction:
        """What the outputs of one image, (1, T, K), say."""
        images = self._loaded_images()
        finite = outputs[0].isfinite().all(dim=-1, keepdim=True)  # a softmax takes infinity for certainty
        probabilities = outputs[0].double().softmax(dim=-1).where(finite, torch.nan).cpu().numpy()
        return Prediction(self._time_ms, probabilities, images.class_names, self._final)

    def not_finite_since(self, inputs: Any) -> str:
        """From which layer and when on one image's activity is not finite, in words; empty where all of it is.

        Args:
            inputs: as for :meth:`preprocess`.
        """
        images = self.preprocess(inputs)
        labels = torch.zeros(1, dtype=torch.int64, device=self.device)
        with self._get_inference_context(), self._precision.forward_context():
            return not_finite_since(self.model.network, (self._precision.convert_input(images), labels))

    def _learn_times(self) -> int:
        """Learn from an empty image when outputs come and which one is the answer; the number of outputs."""
        blank = self._create_dummy_input()
        network = self.model.network
        with self._get_inference_context(), self._precision.forward_context():
            labels = torch.zeros(1, dtype=torch.int64, device=self.device)
            outputs = network.respond((self._precision.convert_input(blank), labels), shuffle=False)
        n_steps = outputs.logits.shape[1]
        scored = np.flatnonzero((outputs.labels[0] != outputs.ignore_index).cpu().numpy())
        trial = network.trial_course(shuffle=False)
        self._final = int(scored[-1]) if len(scored) else n_steps - 1
        onset = trial.onset_step  # a network with a forward of its own has outputs of another number
        self._time_ms = np.array([round((step + 1 - onset) * network.dt, 9) for step in range(n_steps)])
        return n_steps

    def _create_dummy_input(self) -> Tensor:
        """A blank image of the run's size."""
        return self._get_cached_tensor((1, *self._loaded_images().input_shape), torch.float32)

    def _apply_quantization(self) -> None:
        raise InputError(
            "optimization.enable_quantization=True is not offered for networks that compute over time; set it to False"
        )

    def _loaded_images(self) -> ShownImages:
        if self._images is None:
            raise ModelInferenceError("no model is loaded; call load_model first")
        return self._images
