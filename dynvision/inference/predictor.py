"""A trained run in one line, and what one asks it beside its answer: activity of layers, films, early exit, streaming.

predictor = dynvision.load("results/runs/RUN")
predictor.predict("cat.png").class_name
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dynvision.analysis.reaction_time import CONFIDENCE_THRESHOLD
from dynvision.base.frames import Frames, every, stretches
from dynvision.base.observers import shifted
from dynvision.errors import InputError, message_of, unknown_name
from dynvision.inference.config import InferenceConfig
from dynvision.inference.finished_run import run_path
from dynvision.inference.inference_model import ANSWER_ERRORS
from dynvision.inference.inputs import Film, is_film
from dynvision.inference.prediction import ModelInferenceError, Prediction
from dynvision.inference.run_model import RunModel
from dynvision.inference.sources import SOURCES, check_settings

EXIT_STEPS = 4  # steps that are computed before it is asked whether the network has decided


def load(
    source: str | Path,
    *,
    device: str = "auto",
    data: str | Path | None = None,
    decision_threshold: float = CONFIDENCE_THRESHOLD,
    results: str | Path = "results",
    config: InferenceConfig | None = None,
    **settings: Any,
) -> Any:
    """Load a trained network that answers.

    Args:
        source: a run: its folder, its ``model.safetensors``, its id or the beginning of it, a network that ships trained,
            or ``hub:user/name`` of the Hugging Face hub; or another network as ``source:name``, e.g.
            ``torchvision:resnet18``.
        device: auto, cpu or cuda.
        data: folder of the run's data; only weights that do not state how their images are shown need it.
        decision_threshold: probability of one class at which the network has decided.
        results: folder in which runs are looked for by their id.
        config: everything else about how it runs; then without `device`.
        **settings: of a source of other networks, e.g. ``trust_repo=True``.

    Returns:
        A `Predictor`; for other networks the model of :meth:`ModelManager.download_and_load_model`.

    Raises:
        InputError: there is no such run, or it cannot be loaded.
    """
    if not isinstance(source, (str, Path)):
        raise InputError(f"load takes a path or a name, not a {type(source).__name__}")
    if config is not None and device != "auto":
        raise InputError(f"device={device!r} and config= are both given; set config.device.device_type")
    config = InferenceConfig(device={"device_type": device}) if config is None else config
    kind, _, name = str(source).partition(":")
    if kind in SOURCES and name:
        check_settings(SOURCES[kind], settings)
        return SOURCES[kind](name, config, **settings)
    if settings:
        raise unknown_name(
            "setting", next(iter(settings)), ("config", "data", "decision_threshold", "device", "results")
        )
    return load_run(source, config, data, decision_threshold, results)


def load_run(
    source: str | Path,
    config: InferenceConfig,
    data: str | Path | None = None,
    decision_threshold: float = CONFIDENCE_THRESHOLD,
    results: str | Path = "results",
) -> Predictor:
    """Load a run that answers; arguments and errors as of :func:`load`."""
    path = run_path(source, results)
    predictor = Predictor(config, data, decision_threshold)
    predictor.load_model(path)
    predictor.optimize_for_inference()
    return predictor


class Predictor(RunModel):
    """A trained run: images and films, layers, early exit, streams. Arguments are those of `RunModel`."""

    def predict(
        self,
        inputs: Any,
        *,
        frame_rate: float | None = None,
        layers: Sequence[str] = (),
        early_exit: bool = False,
        decision_threshold: float | None = None,
    ) -> Prediction:
        """Return the answer to one image or film.

        Args:
            inputs: an image in any form, or a film (:class:`dynvision.inference.inputs.Film`).
            frame_rate: makes a film of a list of images, an array or a file: frames in a second.
            layers: names of layers whose activity is wanted.
            early_exit: stop computing once one class has the threshold.
            decision_threshold: for this answer; by default that of the model.

        Raises:
            InputError: an input, a layer or a threshold that is not possible.
            ModelInferenceError: the network fails, or has steps of its own that cannot be followed.
        """
        threshold = self.threshold(decision_threshold)
        shown = (
            inputs
            if frame_rate is None
            else Film(inputs.source if isinstance(inputs, Film) else inputs, frame_rate)
        )
        if isinstance(shown, (list, tuple)):
            raise InputError("a list is several images, for predict_batch; a film of them needs frame_rate=")
        if not layers and not early_exit:
            return replace(super().predict(shown), decision_threshold=threshold)
        with self._prediction("predict"):
            layers = self._known_layers(layers)
            with self._preprocessing():
                x = self._prepare(shown)
            with self._computing("the trial"), self._statistics.timed("forward_time"):
                return self._followed(x, layers, threshold, early_exit)

    def stream(self, decision_threshold: float | None = None) -> Stream:
        """Begin a trial that is shown frame by frame, for as long as one likes, in constant memory."""
        threshold = self.threshold(decision_threshold)
        with self._prediction("stream"):
            return Stream(self, threshold)

    @contextlib.contextmanager
    def _computing(self, what: str) -> Iterator[None]:
        """Compute without gradients in the run's precision; raise any error of the network as a `ModelInferenceError`."""
        try:
            with self._get_inference_context(), self._precision.forward_context():
                yield
        except ANSWER_ERRORS:
            raise
        except Exception as error:
            raise ModelInferenceError(f"{what} failed: {message_of(error)}") from error

    def _known_layers(self, layers: Any) -> tuple[str, ...]:
        if isinstance(layers, str):
            layers = (layers,)
        if not isinstance(layers, Iterable):
            raise InputError(f"layers={layers!r} must be a list of names of layers")
        names = tuple(layers)
        for name in names:
            if name not in self.model.network.chain:
                raise unknown_name("layer", name, self.model.network.chain, key="layers")
        return names

    def _followed(self, x: Tensor, layers: tuple[str, ...], threshold: float, early_exit: bool) -> Prediction:
        """Compute a trial in stretches, record layers, and stop early where the network has decided."""
        network, images = self.model.network, self._loaded_images()
        n_frames = x.shape[1] if x.dim() == 5 else None
        time_ms, final = self._time_ms, self._final
        if n_frames is not None:
            time_ms, final = self._film_times(n_frames + network.n_residual_timesteps)
        collected = _Collected(layers)
        trial = network.trial_course(shuffle=False, n_timesteps=n_frames)
        cuts = {*every(EXIT_STEPS if early_exit else 0, trial.n_steps)}
        outputs: list[NDArray[np.float64]] = []
        n_computed = 0
        x = self._precision.convert_input(x)
        plan = network.plan()
        state = network.initial_state(1, plan)
        video = x if x.dim() == 5 else x[:, None]
        for first, frames in stretches(video, network.null_input(1), trial.visible, cuts):
            watch = shifted({"state": collected}, first)
            logits, state = network.advance(frames, state, plan, watch=watch)
            outputs.append(_probabilities(logits))
            n_computed = first + frames.n
            if early_exit and (outputs[-1].max(axis=1) >= threshold)[time_ms[first:n_computed] > 0].any():
                break
        probabilities = np.concatenate(outputs)
        if early_exit:
            decided = np.flatnonzero((probabilities.max(axis=1) >= threshold) & (time_ms[:n_computed] > 0))
            if len(decided):
                final = int(decided[0])
                probabilities = probabilities[: final + 1]
        n_kept = len(probabilities)
        saved_ms = (len(time_ms) - n_computed) * network.dt
        responses = collected.arrays(n_kept)
        return Prediction(
            time_ms[:n_kept].copy(), probabilities, images.class_names, final, threshold, responses, saved_ms
        )


def _probabilities(logits: Tensor) -> NDArray[np.float64]:
    """Return the probability of each class at each step of one image, (T, K).

    Raises:
        ModelInferenceError: the outputs are not finite.
    """
    if not bool(logits.isfinite().all()):
        raise ModelInferenceError("outputs are not finite")
    return logits[0].double().softmax(dim=-1).cpu().numpy()


class _Collected:
    """Receives the activity of some layers of one image and keeps it."""

    def __init__(self, layers: Sequence[str]) -> None:
        self._pieces: dict[str, list[tuple[int, NDArray[np.float32]]]] = {layer: [] for layer in layers}

    def __call__(self, layer: str, frames: Frames) -> None:
        if layer in self._pieces:
            self._pieces[layer].append((frames.first, frames.folded().detach().float().cpu().numpy()))

    def arrays(self, n_steps: int) -> dict[str, NDArray[np.float32]]:
        """Return the activity by layer, (T, C, H, W); zero until the layer starts.

        Raises:
            InputError: a layer has no activity that is recorded.
        """
        made = {}
        for layer, pieces in self._pieces.items():
            if not pieces:
                raise InputError(f"layer {layer} starts after the last step that was computed")
            made[layer] = np.zeros((n_steps, *pieces[0][1].shape[1:]), dtype=np.float32)
            for first, values in pieces:
                kept = values[: max(0, n_steps - first)]
                made[layer][first : first + len(kept)] = kept
        return made


@dataclass(frozen=True, eq=False)
class Moment:
    """What a stream answers after a step.

    Attributes:
        time_ms: end of the step, from the first one on.
        probabilities: of each class, (K,).
        class_names: K.
        decision_ms: when one class first had the threshold; NaN until then.
    """

    time_ms: float
    probabilities: NDArray[np.float64]
    class_names: tuple[str, ...]
    decision_ms: float

    @property
    def class_name(self) -> str:
        """The most probable class."""
        return self.class_names[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """Its probability."""
        return float(self.probabilities.max())

    @property
    def decided(self) -> bool:
        """Whether one class has had the threshold."""
        return not np.isnan(self.decision_ms)


class Stream:
    """A trial without an end, of one network; several may run side by side. Made by :meth:`Predictor.stream`."""

    def __init__(self, predictor: Predictor, threshold: float) -> None:
        self._predictor, self._threshold = predictor, threshold
        self._network = predictor.model.network
        self.reset()

    def reset(self) -> None:
        """Begin again from the idle state."""
        with self._predictor._computing("the idle state"):
            self._plan = self._network.plan()
            self._state = self._network.initial_state(1, self._plan)
        self._n_steps, self._decision_ms = 0, float("nan")

    def step(self, frame: Any = None) -> Moment:
        """Show a frame for one step of ``dt`` ms.

        Args:
            frame: an image in any form; None shows nothing (the null input).

        Raises:
            InputError: it is no image; the stream is as it was.
            ModelInferenceError: the network has been replaced, or fails.
        """
        model, network = self._predictor, self._network
        with model._prediction("step"):
            if model.model.network is not network:
                raise ModelInferenceError("another network has been loaded; begin another stream")
            if is_film(frame):
                raise InputError("step shows one image, not a film; give its frames one by one")
            with model._preprocessing():
                x = None if frame is None else model._prepare(frame)
            with model._computing("the step"):
                shown = network.null_input(1) if x is None else model._precision.convert_input(x)
                logits, state = network.step(shown, self._state, self._plan)
            p = _probabilities(logits[:, None])[0]
        self._state, self._n_steps = state, self._n_steps + 1
        time_ms = round(self._n_steps * network.dt, 9)
        if np.isnan(self._decision_ms) and p.max() >= self._threshold:
            self._decision_ms = time_ms
        return Moment(time_ms, p, model._loaded_images().class_names, self._decision_ms)
