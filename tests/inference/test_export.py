"""Exported programs give the outputs of the network, with batches of any size, step by step and as a trial."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dynvision.cli import main
from dynvision.errors import InputError
from dynvision.inference import Predictor, export
from dynvision.inference.export import export_run

Program = Callable[..., list[Tensor]]


def opened(path: Path) -> Program:
    """A program as a user would open it, without this package."""
    if path.suffix == ".pt2":
        program: Any = torch.export.load(path).module()

        def run(image: Tensor, *state: Tensor) -> list[Tensor]:
            out = program(image, list(state)) if state else program(image)
            return [out] if isinstance(out, Tensor) else [out[0], *out[1]]

        return run
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    names = [each.name for each in session.get_inputs()]

    def run_onnx(*given: Tensor) -> list[Tensor]:
        values = {name: value.numpy() for name, value in zip(names, given, strict=True)}
        return [torch.from_numpy(y) for y in session.run(None, values)]

    return run_onnx


@pytest.mark.filterwarnings("error:No complete tensor")  # of torch about itself
@pytest.mark.parametrize("form", ["torch-export", "onnx"])
def test_programs_are_the_network(predictor: Predictor, tmp_path: Path, form: str) -> None:
    if form == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    made = [export_run(predictor, tmp_path, form, part) for part in ("trial", "step")]
    assert all(each.difference < 1e-5 for each in made)
    trial, step = (opened(each.path) for each in made)
    start = load_file(tmp_path / "start.safetensors")
    about = json.loads((tmp_path / "about.json").read_text())
    network = predictor.model.network
    order = export._Step(network).flat.names()
    assert set(order) == set(start)
    for batch in (1, 4):
        images = torch.randn(batch, *network.image, generator=torch.Generator().manual_seed(batch))
        with torch.inference_mode():
            expected = predictor.model(images)
        (logits,) = trial(images)
        assert torch.allclose(logits, expected, atol=1e-5)
        state = [start[name].expand(batch, *start[name].shape[1:]).contiguous() for name in order]
        steps = []
        for _ in range(network.n_timesteps):
            now, *state = step(images, *state)
            steps.append(now)
        assert torch.allclose(torch.stack(steps, dim=1), expected[:, : network.n_timesteps], atol=1e-5)
    assert about["run"] == predictor.run.run_id and about["trial"]["final"] == predictor._final
    image = np.eye(8, dtype=np.uint8) * 255
    normalised = (image / 255 - about["input"]["mean"][0]) / about["input"]["sd"][0]
    (logits,) = trial(torch.from_numpy(normalised).float()[None, None])
    answer = predictor.predict(image)
    assert np.allclose(logits[0].detach().softmax(-1).numpy(), answer.probabilities, atol=1e-5)
    assert about["trial"]["time_ms"] == answer.time_ms.tolist()


def test_a_program_that_differs_is_not_kept(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(module: Any, arguments: Any, path: Path) -> Program:
        path.write_bytes(b"program")
        return lambda given: [module(*given) + 0.01]

    monkeypatch.setitem(export._WRITERS, "torch-export", wrong)
    with pytest.raises(InputError, match="differs from the network by .* nothing is kept of it"):
        export_run(predictor, tmp_path, "torch-export", "trial")
    assert not list(tmp_path.iterdir())


def test_a_step_needs_layers_that_have_begun(predictor: Predictor, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(predictor.model.network, "idle_steps", 0)
    with pytest.raises(
        InputError, match="a step cannot be exported: .* train with a longer model.args.t_idle"
    ):
        export_run(predictor, tmp_path, "torch-export", "step")
    assert export_run(predictor, tmp_path, "torch-export", "trial").difference < 1e-5


@pytest.mark.parametrize(
    ("form", "part", "said"),
    [("onxn", "trial", "did you mean 'onnx'"), ("onnx", "stop", "did you mean 'step'")],
)
def test_unknown_names(predictor: Predictor, tmp_path: Path, form: str, part: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        export_run(predictor, tmp_path, form, part)


def test_the_command(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(module: Any, arguments: Any, path: Path) -> Program:
        path.write_bytes(b"program")
        return lambda given: [module(*given)]

    monkeypatch.setitem(export._WRITERS, "torch-export", written)
    call = ["export", str(digits_run), "--part", "trial", "--output", str(tmp_path / "out")]
    assert main(call) == 0
    assert f"{tmp_path / 'out' / 'trial.pt2'}  differs from the network by at most" in capsys.readouterr().out
    assert main(["export", "nothing", "--results", str(tmp_path)]) == 2
    assert "dynvision export: no run has been trained in" in capsys.readouterr().err
