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

from dynvision.analysis.reaction_time import CONFIDENCE_THRESHOLD
from dynvision.base import BaseModel
from dynvision.base.monitoring import not_finite_since
from dynvision.config.run import RunConfig
from dynvision.data.images import fit_image
from dynvision.data.loader import transform_of
from dynvision.data.manifest import ShownImages, in_header, read_manifest
from dynvision.data.storage import Storage
from dynvision.data.transform import Transform
from dynvision.errors import InputError
from dynvision.files import file_sha256, read_header
from dynvision.inference.config import InferenceConfig
from dynvision.inference.devices import precision_of
from dynvision.inference.finished_run import run_at
from dynvision.inference.inference_model import InferenceModel
from dynvision.inference.inputs import MOST_VALUES, Film, check_several, frames_due, is_film, to_image
from dynvision.inference.optimization import check_weights
from dynvision.inference.prediction import (
    ModelInferenceError,
    ModelLoadError,
    ModelMetadata,
    Prediction,
    check_threshold,
)
from dynvision.models.build import build_model
from dynvision.models.weights import load_run_weights


class TrialNetwork(nn.Module):
    """A network in the trial of its test: images (B, C, H, W) in, outputs of every step (B, T, K) out."""

    def __init__(self, network: BaseModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        unknown = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        return self.network.respond((images, unknown), shuffle=False).logits


class RunModel(InferenceModel):
    """A trained run.

    Args:
        config: where and how to run; the default is a GPU if there is one.
        data: folder of the run's data; only weights that do not state how their images are shown need it.
        decision_threshold: probability of one class at which the network has decided.

    Attributes:
        run: the run's configuration, once it is loaded.
    """

    def __init__(
        self,
        config: InferenceConfig | None = None,
        data: str | Path | None = None,
        decision_threshold: float = CONFIDENCE_THRESHOLD,
    ) -> None:
        super().__init__(InferenceConfig() if config is None else config)
        self.data = data
        self.decision_threshold = decision_threshold
        self.run: Any = None
        self._images: Any = None
        self._transform: Any = None
        self._precision: Precision = Precision()
        self._time_ms: NDArray[np.float64] = np.zeros(0)
        self._final = 0
        self._weights = ""  # SHA-256 of their file

    @property
    def decision_threshold(self) -> float:
        """Probability of one class at which the network has decided; can be set."""
        return self._decision_threshold

    @decision_threshold.setter
    def decision_threshold(self, value: float) -> None:
        self._decision_threshold = check_threshold(value)

    def threshold(self, given: float | None) -> float:
        """Return the threshold of an answer: what was given for it, otherwise the model's own."""
        return self.decision_threshold if given is None else check_threshold(given)

    def load_model(self, model_path: str | Path) -> None:
        """Load a run.

        Args:
            model_path: its folder ``results/runs/{run_id}``, or its ``model.safetensors``.

        Raises:
            ModelLoadError: a file is missing, damaged or of another run, or the data are.
        """
        run, weights, images = _files(model_path, self.data)
        name, precision = precision_of(run.training.precision, self.device, self.config.device.use_fp16)
        try:
            network = precision.convert_module(build_model(run, images.input_shape, images.n_classes))
            header = load_run_weights(network, weights, run.run_id)
            check_weights(network)
        except (InputError, ModelInferenceError) as error:
            raise ModelLoadError(str(error)) from None
        trial = TrialNetwork(network.eval().to(self.device))  # type: ignore[arg-type]
        with self._lock:  # from here on nothing fails: what was loaded before stays whole until then
            time_ms, final = self._times(trial, images, precision)
            self.model = trial
            self.run, self._images, self._precision = run, images, precision
            self._transform = transform_of(images, "test", run.data, run.seed)
            self._time_ms, self._final = time_ms, final
            self._weights = file_sha256(weights)
            self.optimizations = {"precision": name}
            self.metadata = ModelMetadata(
                name=run.run_id,
                version=header.get("dynvision", ""),
                model_type=run.model.name,
                input_shape=images.input_shape,
                output_shape=(len(time_ms), images.n_classes),
                description=f"{run.model.name} trained on {images.source}; outputs every {trial.network.dt:g} ms",
                tags=[images.source],
            )
            self._is_loaded = True

    def preprocess(self, inputs: Any) -> Tensor:
        """Return one image, or film, as the run's test images are shown.

        Args:
            inputs: a path, bytes or an open file; a Pillow image; an array (H, W) or (H, W, C); a tensor (H, W) or
                (C, H, W); or a film: a `Film`, or the path of a video file or animation.

        Returns:
            Normalised, on the device, (1, C, H, W), or a frame for every step, (1, T, C, H, W).

        Raises:
            InputError: it is no image.
        """
        if is_film(inputs):
            return self._shown_film(inputs if isinstance(inputs, Film) else Film(inputs))
        return self._show([self._stored(inputs)])

    def _stored(self, image: Any) -> NDArray[np.uint8]:
        """Return the pixels of an image as the run's images are stored, (H, W, C)."""
        config = self._loaded_images().config
        pixels = fit_image(to_image(image, config.n_channels, config.transparent_ground), config.stored_size)
        storage = Storage.of(config)
        # Of a part of the images only, no one can know whether this one is in it.
        return storage.stored(pixels, 0) if storage.probability == 1 else pixels

    def _show(self, pixels: list[NDArray[np.uint8]]) -> Tensor:
        shown: Transform = self._transform
        stacked = torch.from_numpy(np.stack(pixels)).to(self.device)
        return shown(stacked, np.zeros(len(pixels), dtype=np.int64), 0)

    def _shown_film(self, film: Film) -> Tensor:
        """Return a frame for every step, (1, T, C, H, W); frames are decoded, fitted and normalised one at a time."""
        c, h, w = self._loaded_images().input_shape
        frames, onsets_ms = [], []
        for image, onset_ms in film.frames():
            frames.append(self._show([self._stored(image)]))
            onsets_ms.append(onset_ms)
            if len(frames) * c * h * w > MOST_VALUES:
                raise InputError(
                    f"{film} has too many frames for this size; show a part of it, or use stream()"
                )
        dt = self.model.network.dt
        if film.duration_ms / dt * c * h * w > MOST_VALUES:
            raise InputError(
                f"{film} lasts {film.duration_ms:g} ms, too long to be shown at once; use stream()"
            )
        due = frames_due(onsets_ms, film.duration_ms, dt)
        return torch.cat(frames)[torch.tensor(due, device=self.device)][None]

    def _film_times(self, n_steps: int) -> tuple[NDArray[np.float64], int]:
        """Return the times of the outputs of a film in ms, and the last one that is scored."""
        network = self.model.network
        course = network.trial_course(shuffle=False, n_timesteps=n_steps - network.n_residual_timesteps)
        scored = course.labels(torch.zeros(1, dtype=torch.int64), -1)[0] != -1
        return _output_times(n_steps, course.onset_step, network.dt, scored)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs over time, (B, T, K), of images from `preprocess`, (B, C, H, W).

        Raises:
            ModelInferenceError: they are not finite; of a single image with the layer and the time where that begins.
        """
        network = self.get_model_for_inference()
        with self._precision.forward_context():
            images = self._precision.convert_input(inputs)
            outputs = network(images)
            if bool(outputs.isfinite().all()):
                return outputs
            labels = torch.zeros(len(images), dtype=torch.int64, device=self.device)
            since = f": {not_finite_since(self.model.network, (images, labels))}" if len(images) == 1 else ""
        raise ModelInferenceError(f"outputs are not finite{since}")

    def postprocess(self, outputs: Tensor) -> Prediction:
        """Return the prediction of the outputs of one image, (1, T, K)."""
        images = self._loaded_images()
        probabilities = outputs[0].double().softmax(dim=-1).cpu().numpy()
        time_ms, final = self._time_ms, self._final
        if len(probabilities) != len(time_ms):  # of a film
            time_ms, final = self._film_times(len(probabilities))
        return Prediction(time_ms.copy(), probabilities, images.class_names, final, self.decision_threshold)

    def _listed(self, inputs: Any) -> list[Any]:
        check_several(inputs)
        return super()._listed(inputs)

    def cache_settings(self) -> Any:
        """Return the threshold; all else is loaded with the network, and loading clears the caches."""
        return self.decision_threshold

    def _identity(self) -> str:
        """Return the run and its training: another training of the same run has the same id."""
        return f"{super()._identity()} with the weights {self._weights[:16]}"

    def _times(
        self, trial: TrialNetwork, images: ShownImages, precision: Precision
    ) -> tuple[NDArray[np.float64], int]:
        """Find with a blank image the times of the outputs, in ms from stimulus onset, and the step of the answer."""
        blank = torch.zeros(1, *images.input_shape, device=self.device)
        network = trial.network
        with self._get_inference_context(), precision.forward_context():
            labels = torch.zeros(1, dtype=torch.int64, device=self.device)
            outputs = network.respond((precision.convert_input(blank), labels), shuffle=False)
        # A network with a forward of its own may have another number of outputs than the trial has steps.
        n_steps = outputs.logits.shape[1]
        onset_step = network.trial_course(shuffle=False).onset_step
        return _output_times(n_steps, onset_step, network.dt, outputs.labels[0] != outputs.ignore_index)

    def _create_dummy_input(self) -> Tensor:
        """Return a blank image of the run's size."""
        return self._get_cached_tensor((1, *self._loaded_images().input_shape), torch.float32)

    def _apply_quantization(self) -> None:
        raise InputError(
            "optimization.enable_quantization=True is not offered for networks that compute over time; set it to False"
        )

    def _loaded_images(self) -> ShownImages:
        if self._images is None:
            raise ModelInferenceError("no model is loaded; call load_model first")
        return self._images


def _output_times(
    n_steps: int, onset_step: int, dt: float, scored: Tensor
) -> tuple[NDArray[np.float64], int]:
    """Return the time of each output in ms from stimulus onset, and the last one that is scored."""
    time_ms = np.array([round((step + 1 - onset_step) * dt, 9) for step in range(n_steps)])
    steps = scored.nonzero().flatten()
    return time_ms, int(steps[-1]) if len(steps) else n_steps - 1


def _files(path: str | Path, data: str | Path | None) -> tuple[RunConfig, Path, ShownImages]:
    """Return the configuration and weights of a run, and how its images are stored and shown."""
    try:
        config, weights = run_at(Path(path))
        return config, weights, _images(config, weights, data)
    except InputError as error:
        raise ModelLoadError(str(error)) from None
    except (OSError, TypeError, ValueError, AttributeError) as error:  # of a damaged header
        raise ModelLoadError(f"the files of run {path} cannot be understood: {error}") from None


def _images(config: RunConfig, weights: Path, data: str | Path | None) -> ShownImages:
    if data is not None:
        return read_manifest(data, config.data.images)
    images = in_header(read_header(weights), config.data.images)
    if images is not None:
        return images
    folder = weights.absolute().parent.parent.parent / "data" / config.data_id  # where the workflow puts it
    if folder.is_dir():
        return read_manifest(folder, config.data.images)
    raise InputError(
        f"weights {weights} do not state how their images are shown, and there is no folder {folder} that does; give the "
        "folder of the run's data with data="
    )
