"""A recurrent network of DynVision as a subject of Brain-Score: copied into a plugin as ``model.py``, needs no DynVision.

The network is a program for ``torch.export``, one step of dt ms: frame and state in, outputs, activity of units and state
out. Images are shown from 0 ms on for ``stimulus_ms``, after and before them the network sees nothing. A sample is of the
step that ends with it, and a time bin is the mean of the steps that it covers, each by the part that it covers. What the
network answers at t is compared with what neurons answer at t + ``latency_ms``.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brainscore_core.supported_data_standards.brainio.assemblies import BehavioralAssembly, NeuroidAssembly
from brainscore_vision.model_interface import BrainModel
from PIL import Image
from safetensors.torch import load_file

HERE = Path(__file__).parent
BATCH = 16


class StepModel(BrainModel):
    """The network. All settings are in ``about.json``."""

    def __init__(self, folder: Path = HERE) -> None:
        self.about: dict[str, Any] = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        self.layers: dict[str, str] = self.about["layers"]  # by region
        self._program: Any = torch.export.load(folder / "step.pt2").module()
        start = load_file(folder / "start.safetensors")
        self._start = [start[name] for name in self.about["state"]]
        self._region, self._bins = "", [(0.0, 0.0)]
        self._task: Any = None
        self._labels: list[str] = []
        self._readout: Any = None

    @property
    def identifier(self) -> str:
        """The unique name of the model."""
        return str(self.about["identifier"])

    def visual_degrees(self) -> int:
        """The degrees of visual angle that an image covers."""
        return int(self.about["visual_degrees"])

    def start_recording(self, recording_target: Any, time_bins: Any) -> None:
        """Record from a region from now on.

        Args:
            recording_target: V1, V2, V4 or IT.
            time_bins: beginnings and ends in ms from stimulus onset.
        """
        region = str(getattr(recording_target, "value", recording_target))
        if region not in self.layers:
            raise ValueError(f"{self.identifier} has no layer for {region}; it has {', '.join(self.layers)}")
        bins = [(float(start), float(end)) for start, end in time_bins]
        if not bins or any(start >= end for start, end in bins):
            raise ValueError(f"time_bins={time_bins!r} must be pairs of a beginning and a later end in ms")
        self._region, self._bins, self._task = region, bins, None

    def start_task(self, task: Any, fitting_stimuli: Any = None) -> None:
        """Do a task from now on: passive, label, probabilities or odd_one_out."""
        name = str(getattr(task, "value", task))
        if name == "label":
            classes = self.about["class_names"]
            labels = [fitting_stimuli] if isinstance(fitting_stimuli, str) else list(fitting_stimuli)
            unknown = [label for label in labels if label not in classes]
            if unknown or not labels:
                raise ValueError(
                    f"{self.identifier} knows the classes {', '.join(classes)}, and not {', '.join(map(str, unknown))}"
                )
            self._labels = labels
        elif name == "probabilities":
            self._fit(fitting_stimuli)
        elif name not in ("passive", "odd_one_out"):
            raise ValueError(
                f"task {name!r} is not known; tasks are passive, label, probabilities, odd_one_out"
            )
        self._task, self._region = name, ""

    def look_at(self, stimuli: Any, number_of_trials: int = 1) -> Any:
        """Look at images, and return what the task or the recording asks for.

        Args:
            stimuli: a StimulusSet, or paths of images.
            number_of_trials: trials to average; the network answers every trial alike.
        """
        paths, columns = _listed(stimuli)
        if self._region:
            return self._recorded(paths, columns)
        if self._task is None:
            raise ValueError("call start_recording or start_task before look_at")
        if self._task == "passive":
            return None
        presentation = {name: ("presentation", values) for name, values in columns.items()}
        if self._task == "label":
            classes = [self.about["class_names"].index(label) for label in self._labels]
            chosen = [self._labels[k] for k in self._decide(paths)[0][:, classes].argmax(axis=1)]
            coords = {**presentation, "label": ("presentation", chosen)}
            return BehavioralAssembly(
                np.array(chosen)[:, None], coords=coords, dims=["presentation", "choice"]
            )
        if self._task == "probabilities":
            scaler, classifier = self._readout
            values = classifier.predict_proba(scaler.transform(self._decide(paths)[1]))
            coords = {**presentation, "choice": ("choice", list(classifier.classes_))}
            return BehavioralAssembly(values, coords=coords, dims=["presentation", "choice"])
        return self._odd_one_out(paths, columns)

    def _recorded(self, paths: list[str], columns: dict[str, list[Any]]) -> Any:
        dt, latency = self.about["dt_ms"], self.about["latency_ms"]
        own = np.array(self._bins) - latency
        n_before = max(0, math.ceil(-own.min() / dt))
        n_after = math.ceil(max(own.max(), dt) / dt)
        ends = (np.arange(-n_before, n_after) + 1) * dt
        # (bins, steps): by how much of each step a bin covers
        covered = np.minimum(own[:, 1:], ends) - np.maximum(own[:, :1], ends - dt)
        weights = np.clip(covered, 0, None)
        weights /= weights.sum(axis=1, keepdims=True)
        layer = self.layers[self._region]
        values = [self._bins_of(batch, layer, n_before, n_after, weights) for batch in _batches(paths)]
        units = self.about["units"][layer]
        names = [f"{self.identifier}.{layer}.{k}" for k in units["index"]]
        coords: dict[str, Any] = {name: ("presentation", given) for name, given in columns.items()}
        coords["neuroid_id"] = ("neuroid", names)
        coords["neuroid_num"] = ("neuroid", list(range(len(names))))
        for name, given in {"layer": [layer] * len(names), "region": [self._region] * len(names)}.items():
            coords[name] = ("neuroid", given)
        for name in ("channel", "row", "column"):
            coords[name] = ("neuroid", units[name])
        coords["time_bin_start"] = ("time_bin", [start for start, _ in self._bins])
        coords["time_bin_end"] = ("time_bin", [end for _, end in self._bins])
        return NeuroidAssembly(
            np.concatenate(values), coords=coords, dims=["presentation", "neuroid", "time_bin"]
        )

    def _bins_of(
        self, paths: list[str], layer: str, n_before: int, n_after: int, weights: np.ndarray
    ) -> np.ndarray:
        """Activity of a layer by image, unit and bin, added up step by step."""
        images = self._images(paths)
        nothing = torch.full_like(images, self.about["null"])
        n_shown = round(self.about["stimulus_ms"] / self.about["dt_ms"])
        which = self.about["recorded"].index(layer)
        state = [part.expand(len(images), *part.shape[1:]).clone() for part in self._start]
        total: Any = 0.0
        with torch.no_grad():
            for k in range(-n_before, n_after):
                _, activity, state = self._program(images if 0 <= k < n_shown else nothing, state)
                of_step = weights[:, k + n_before].astype(np.float32)
                if of_step.any():
                    total = total + activity[which].numpy()[:, :, None] * of_step
        return np.asarray(total)

    def _decide(self, paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Outputs, and activity of the last layer, at the time of a decision, the image shown throughout."""
        outputs, features = [], []
        n_steps = round(self.about["decision_ms"] / self.about["dt_ms"])
        with torch.no_grad():
            for batch in _batches(paths):
                images = self._images(batch)
                state = [part.expand(len(images), *part.shape[1:]).clone() for part in self._start]
                for _ in range(n_steps):
                    logits, activity, state = self._program(images, state)
                outputs.append(logits.numpy())
                features.append(activity[-1].numpy())
        return np.concatenate(outputs), np.concatenate(features)

    def _fit(self, stimuli: Any) -> None:
        """Fit a readout of the last layer, as Brain-Score fits its own: logistic, of scaled features, C = 1e-3."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        paths, columns = _listed(stimuli)
        if "image_label" not in columns:
            raise ValueError("fitting_stimuli need a column image_label")
        features = self._decide(paths)[1]
        scaler = StandardScaler().fit(features)
        classifier = LogisticRegression(C=1e-3, max_iter=1000).fit(
            scaler.transform(features), np.asarray(columns["image_label"])
        )
        self._readout = scaler, classifier

    def _odd_one_out(self, paths: list[str], columns: dict[str, list[Any]]) -> Any:
        """Of three images each, the one that is not of the pair with the largest dot product."""
        if len(paths) % 3:
            raise ValueError(f"odd_one_out needs triplets, and {len(paths)} is no multiple of 3")
        triplets = self._decide(paths)[1].reshape(len(paths) // 3, 3, -1)
        pairs = np.stack([(triplets[:, a] * triplets[:, b]).sum(axis=1) for a, b in ((1, 2), (0, 2), (0, 1))])
        odd = pairs.argmax(axis=0)
        triplet = [", ".join(map(str, columns["stimulus_id"][k : k + 3])) for k in range(0, len(paths), 3)]
        coords = {
            "stimulus_id": ("presentation", triplet),
            "triplet": ("presentation", list(range(len(odd)))),
        }
        return BehavioralAssembly(odd[:, None], coords=coords, dims=["presentation", "choice"])

    def _images(self, paths: list[str]) -> torch.Tensor:
        """Images as the network takes them, (B, C, H, W)."""
        channels, height, width = self.about["input"]["shape"]
        mean, sd = (np.array(self.about["input"][name], dtype=np.float32) for name in ("mean", "sd"))
        made = []
        for path in paths:
            with Image.open(path) as image:
                picture = image.convert("RGB" if channels == 3 else "L").resize(
                    (width, height), Image.Resampling.BILINEAR
                )
            pixels = np.asarray(picture, dtype=np.float32).reshape(height, width, channels) / 255
            made.append(((pixels - mean) / sd).transpose(2, 0, 1))
        return torch.from_numpy(np.stack(made))


def _batches(paths: list[str]) -> list[list[str]]:
    return [paths[first : first + BATCH] for first in range(0, len(paths), BATCH)]


def _listed(stimuli: Any) -> tuple[list[str], dict[str, list[Any]]]:
    """Paths of images, and what is known of each by column; ``stimulus_id`` always."""
    if hasattr(stimuli, "columns"):
        columns = {str(name): list(stimuli[name]) for name in stimuli.columns}
        paths = [str(stimuli.get_stimulus(each)) for each in columns["stimulus_id"]]
        return paths, columns
    paths = [str(path) for path in stimuli]
    return paths, {"stimulus_id": [Path(path).stem for path in paths], "stimulus_path": paths}


def get_model(identifier: str) -> StepModel:
    """Return the model."""
    model = StepModel()
    assert identifier == model.identifier, f"this plugin is of {model.identifier}"
    return model


def get_layers(identifier: str) -> list[str]:
    """Return the layers that are recorded."""
    return list(StepModel().about["recorded"])
