"""A trained run as a program for others: `torch.export` (``.pt2``) or ONNX, of a whole trial or of one step.

    trial    images (B, C, H, W), normalised              ->  logits (B, T, K)
    step     frame (B, C, H, W), normalised, and state    ->  logits (B, K), and state

The state of a step is a list of tensors with the batch first, which begins as ``start.safetensors`` states; ``about.json``
beside the programs states the normalisation of images, the times of outputs and the names of classes. B is any number from
1. Each program is read back, run with several batches and compared with the network before it is kept.

A step is a fixed program, so that it needs a network in which all layers have begun: ``t_idle`` must be long enough.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import dynvision
from dynvision.base.frames import Frames, ModelState, Trace, stretches
from dynvision.errors import InputError, check_extra, message_of, unknown_name
from dynvision.files import atomic_path, write_text
from dynvision.inference.predictor import Predictor

PARTS = ("trial", "step")
SUFFIXES = {"torch-export": ".pt2", "onnx": ".onnx"}
BATCHES = (1, 2, 5)  # with which a program is run back
MOST_BATCH = 4096
N_STEPS = 5  # that a step is run back for
TOLERANCE = 1e-4  # of the largest output; programs add up in another order


class FlatState:
    """The state of a network as a list of tensors with the batch first, in which each step is a row of the second axis.

    Args:
        state: of one image.
        horizon: how far back the activity of each layer is read, in steps.
    """

    def __init__(self, state: ModelState, horizon: dict[str, int]) -> None:
        self.template = state
        self.layers = sorted(state.traces)
        self.lengths = {
            layer: sum(piece.n for piece in state.traces[layer].compact(state.age - horizon[layer]).pieces)
            for layer in self.layers
        }
        self.n_drives = {layer: len(state.drives[layer]) for layer in sorted(state.drives)}
        self.operations = sorted(key for key, value in state.operations.items() if isinstance(value, Tensor))

    def tensors(self, state: ModelState) -> list[Tensor]:
        """Return the parts of a state with the batch that it has."""
        parts = []
        for layer in self.layers:
            if length := self.lengths[layer]:
                steps = [step for piece in state.traces[layer].pieces for step in piece.steps()]
                parts.append(torch.stack(steps[-length:], dim=1))
        parts += [drive for layer in self.n_drives for drive in state.drives[layer]]
        return parts + [state.operations[key] for key in self.operations]

    def names(self) -> list[str]:
        """Return the name of each part."""
        made = [f"activity_{layer}" for layer in self.layers if self.lengths[layer]]
        made += [f"drive_{layer}_{k}" for layer, n in self.n_drives.items() for k in range(n)]
        return made + [f"operation_{layer}_{name}" for layer, name in self.operations]

    def state(self, parts: Sequence[Tensor], batch: Any) -> ModelState:
        """Return the state that consists of these parts."""
        left = list(parts)
        age, traces = self.template.age, {}
        for layer in self.layers:
            length = self.lengths[layer]
            steps = left.pop(0).unbind(1) if length else ()
            traces[layer] = Trace(
                tuple(Frames(age - length + k, 1, values) for k, values in enumerate(steps))
            )
        drives = {layer: tuple(left.pop(0) for _ in range(n)) for layer, n in self.n_drives.items()}
        operations = dict(self.template.operations) | {key: left.pop(0) for key in self.operations}
        return replace(self.template, batch=batch, traces=traces, drives=drives, operations=operations)


class _Part(nn.Module):
    """What is exported of a network, with the idle state that a trial begins in."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.plan = network.plan()
        self.idle = network.initial_state(1, self.plan)
        self.flat = FlatState(self.idle, dict(self.plan.horizon))
        start = self.flat.tensors(self.idle)
        self.start = [part.clone(memory_format=torch.contiguous_format) for part in start]


class _Trial(_Part):
    """All steps of a trial from the idle state, which is a constant."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self.course = network.trial_course(shuffle=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, T, K) of normalised images (B, C, H, W)."""
        batch = images.shape[0]
        state = self.flat.state([p.expand(batch, *p.shape[1:]) for p in self.start], batch)
        null = torch.full_like(images, self.network.non_input_value)
        outputs = []
        for _, frames in stretches(images[:, None], null, self.course.visible, ()):
            logits, state = self.network.advance(frames, state, self.plan)
            outputs.append(logits)
        return torch.cat(outputs, dim=1)


class _Step(_Part):
    """One step; the state goes in and comes out."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        start = self.idle
        _, after = network.step(network.null_input(1), start, self.plan)
        then = FlatState(after, dict(self.plan.horizon))
        if (after.age, then.lengths, then.n_drives, then.operations) != (
            start.age, self.flat.lengths, self.flat.n_drives, self.flat.operations,
        ):  # fmt: skip
            raise InputError(
                f"a step cannot be exported: with t_idle={network.t_idle:g} ms some layers have not begun when the "
                "stimulus comes; export the trial, or train with a longer model.args.t_idle"
            )

    def forward(self, frame: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the logits (B, K) of a normalised frame (B, C, H, W), and the state after it."""
        logits, after = self.network.step(frame, self.flat.state(state, frame.shape[0]), self.plan)
        return logits, self.flat.tensors(after)


@dataclass(frozen=True)
class Exported:
    """A program that was written.

    Attributes:
        part: ``trial`` or ``step``.
        path: its file.
        difference: largest difference of its outputs from the network's, of the largest output.
    """

    part: str
    path: Path
    difference: float


def export_run(predictor: Predictor, folder: Path, form: str, part: str) -> Exported:
    """Write one program of a run, and what is needed to use it.

    Args:
        predictor: a run that is loaded, on the CPU.
        folder: where ``{part}.pt2`` or ``{part}.onnx``, ``about.json`` and, of a step, ``start.safetensors`` are written.
        form: ``torch-export`` or ``onnx``.
        part: ``trial`` or ``step``.

    Raises:
        InputError: an unknown form or part, a missing package, a network that cannot be exported, or a program whose
            outputs are not those of the network.
    """
    if form not in SUFFIXES:
        raise unknown_name("format", form, SUFFIXES, key="--format")
    if part not in PARTS:
        raise unknown_name("part", part, PARTS, key="--part")
    if predictor.device.type != "cpu":
        raise InputError(
            f"a run is exported on the CPU, not on {predictor.device}; load it with device='cpu'"
        )
    network = predictor.model.network
    with torch.no_grad():
        module = (_Trial if part == "trial" else _Step)(network).eval()
        path = folder / f"{part}{SUFFIXES[form]}"
        with tempfile.TemporaryDirectory() as scratch:
            written = Path(scratch) / path.name
            difference = write_compared(module, form, part, written, predictor.run.run_id)
            with atomic_path(path) as temporary:
                shutil.copyfile(written, temporary)
    if part == "step":
        with atomic_path(folder / "start.safetensors") as temporary:
            save_file(dict(zip(module.flat.names(), module.start, strict=True)), temporary)
    write_text(
        folder / "about.json", json.dumps(_about(predictor, module), indent=2, ensure_ascii=False) + "\n"
    )
    return Exported(part, path, difference)


def write_compared(module: Any, form: str, part: str, path: Path, run_id: str) -> float:
    """Write a program, read it back, and compare it with the network; of a step, the state is the last of the outputs.

    Returns:
        The largest difference of its outputs from the network's, of the largest output.

    Raises:
        InputError: a missing package, a network that cannot be exported, or outputs that are not those of the network.
    """
    try:
        run = _WRITERS[form](module, _arguments(module, part, 3), path)
        difference = max(_difference(module, part, run, batch) for batch in BATCHES)
    except InputError:
        raise
    except Exception as error:
        reason = message_of(error)[:300]
        raise InputError(f"{part} of {run_id} cannot be exported as {form}: {reason}") from error
    if not difference <= TOLERANCE:
        raise InputError(
            f"the exported {part} differs from the network by {difference:.2g} of its largest output, more than "
            f"{TOLERANCE:g}; nothing is kept of it"
        )
    return difference


def _arguments(module: Any, part: str, batch: int) -> tuple[Any, ...]:
    like = next(module.network.parameters())
    generator = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, *module.network.image, generator=generator, dtype=like.dtype)
    if part == "trial":
        return (images,)
    return images, [part_.expand(batch, *part_.shape[1:]).clone() for part_ in module.start]


def _dynamic(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    batch = torch.export.Dim("batch", min=1, max=MOST_BATCH)
    return tuple([{0: batch} for _ in a] if isinstance(a, list) else {0: batch} for a in arguments)


Run = Callable[[tuple[Any, ...]], list[Tensor]]


def _write_torch_export(module: nn.Module, arguments: tuple[Any, ...], path: Path) -> Run:
    """Write an exported program, and read it back."""
    program = torch.export.export(module, arguments, dynamic_shapes=_dynamic(arguments))
    with warnings.catch_warnings():
        # Of weights that are views of one storage; what is read back is compared below.
        warnings.filterwarnings("ignore", "No complete tensor found in the group")
        torch.export.save(program, path)
    loaded: Any = torch.export.load(path).module()
    return lambda given: _flat(loaded(*given))


def _write_onnx(module: Any, arguments: tuple[Any, ...], path: Path) -> Run:
    """Write an ONNX file, and read it back with onnxruntime."""
    check_extra("export", "--format onnx", "onnx", "onnxruntime", "onnxscript")
    onnxruntime = importlib.import_module("onnxruntime")
    names = module.flat.names() if len(arguments) == 2 else []
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of the exporter about itself
        program: Any = torch.onnx.export(
            module,
            arguments,
            dynamo=True,
            verbose=False,
            dynamic_shapes=_dynamic(arguments),
            input_names=["image", *names],
            output_names=["logits", *(f"next_{name}" for name in names)],
        )
        program.save(path)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    taken = [each.name for each in session.get_inputs()]

    def run(given: tuple[Any, ...]) -> list[Tensor]:
        values = dict(zip(["image", *names], _flat(given), strict=True))
        return [torch.from_numpy(y) for y in session.run(None, {n: values[n].numpy() for n in taken})]

    return run


_WRITERS: dict[str, Callable[[Any, tuple[Any, ...], Path], Run]] = {
    "torch-export": _write_torch_export,
    "onnx": _write_onnx,
}


def _flat(values: Any) -> list[Tensor]:
    return [values] if isinstance(values, Tensor) else [each for value in values for each in _flat(value)]


def _difference(module: Any, part: str, run: Run, batch: int) -> float:
    """Return the largest difference of any output, relative to the largest output; of a step also after several steps."""
    given = _arguments(module, part, batch)
    worst = 0.0
    for _ in range(1 if part == "trial" else N_STEPS):
        expected, found = _flat(module(*given)), run(given)
        for one, other in zip(expected, found, strict=True):
            scale = max(float(one.abs().max()), 1e-12)
            worst = max(
                worst, float((one - other).abs().max()) / scale if one.shape == other.shape else math.inf
            )
        if part == "step":
            given = (torch.randn_like(given[0]), found[-len(given[1]) :])
    return worst


def _about(predictor: Predictor, module: Any) -> dict[str, Any]:
    """Return the description of a program: times, normalisation, names of classes."""
    images = predictor._loaded_images()
    return {
        "dynvision": dynvision.__version__,
        "run": predictor.run.run_id,
        "model": predictor.run.model.name,
        "dt_ms": module.network.dt,
        "input": {"shape": list(images.input_shape), "mean": list(images.mean), "sd": list(images.sd)},
        "trial": {"time_ms": predictor._time_ms.tolist(), "final": predictor._final},
        "class_names": list(images.class_names),
        "decision_threshold": predictor.decision_threshold,
    }
