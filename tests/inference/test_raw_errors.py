"""Whatever goes wrong is one of the documented errors, with the number of the input, and loses no other answer."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.inference import InferenceModel, ModelInferenceError, ModelLoadError, ModelManager, RunModel
from dynvision.inference.prediction import ModelMetadata
from dynvision.inference.sources import NetworkModel
from dynvision.models.weights import read_weights
from tests.inference.toy import cpu

GOOD = np.eye(8, dtype=np.float32)


class Picky(InferenceModel):
    """Doubles a number; numbers from 100 on fail where their hundreds say."""

    def load_model(self, model_path: str | Path = "") -> None:
        self.model = nn.Identity()
        self.batches: list[list[float]] = []
        self._is_loaded = True

    def preprocess(self, inputs: float) -> Tensor:
        if inputs == 100:
            raise KeyError("no such thing")
        if inputs == 101:
            raise InputError("no 101")
        if inputs == 102:
            return [inputs]  # type: ignore[return-value]
        return torch.tensor([float(inputs)])

    def forward(self, inputs: Tensor) -> Tensor:
        self.batches.append(inputs.tolist())
        for number in inputs.tolist():
            if number in (200, 201):
                raise (AssertionError() if number == 200 else TypeError("not this one"))
        return torch.where(inputs == 202, torch.nan, inputs * 2)

    def postprocess(self, outputs: Tensor) -> float:
        if outputs.item() == 600:
            raise IndexError("out of range")
        return outputs.item()


def picky(**sections: Any) -> Picky:
    model = Picky(cpu(**sections))
    model.load_model()
    return model


WRONG = {
    100: (InputError, "an input of type int cannot be preprocessed: 'no such thing'"),
    101: (InputError, "no 101"),
    102: (ModelInferenceError, "preprocess must return a tensor with a first axis for the batch, not list"),
    200: (ModelInferenceError, "the forward pass of inputs of shape (1,) failed: AssertionError"),
    201: (ModelInferenceError, "the forward pass of inputs of shape (1,) failed: not this one"),
    202: (ModelInferenceError, "the outputs of inputs of shape (1,) are not-a-number"),
    300: (ModelInferenceError, "outputs of shape (1,) cannot be postprocessed: out of range"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_one_bad_input_loses_no_other_answer(wrong: int, caplog: pytest.LogCaptureFixture) -> None:
    kind, said = WRONG[wrong]
    model = picky(batch={"batch_size": 4})
    inputs = [1, 2, 3, 4, 5, wrong, 7]
    for answers in (model.predict_batch(inputs), model.predict_batch_optimized(inputs)):
        error = answers.pop(5)
        assert answers == [2, 4, 6, 8, 10, 14]
        assert type(error) is kind and str(error).startswith(f"input 5: {said}")
        assert error.__traceback__ is None and error.__cause__ is None  # which would hold tensors
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 2
    assert model.get_performance_stats()["error_counts"] == {kind.__name__: 2}
    with pytest.raises(kind) as raised:
        model.predict_batch(inputs, keep_going=False)
    assert str(raised.value).startswith(f"input 5: {said}")
    with pytest.raises(kind) as raised:
        model.predict(wrong)
    assert str(raised.value).startswith(said)


def test_numbers_are_the_callers_whatever_the_order() -> None:
    class Long(Picky):
        def preprocess(self, inputs: Any) -> Tensor:
            return super().preprocess(inputs[0])

    model = Long(cpu(batch={"batch_size": 2}))
    model.load_model()
    answers = model.predict_batch_optimized([[5] * 3, [101] * 2, [7]])
    assert answers[::2] == [10, 14] and str(answers[1]) == "input 1: no 101"


def test_a_bad_input_is_found_by_halves() -> None:
    model = picky(batch={"batch_size": 16})
    answers = model.predict_batch([*range(9), 201, *range(10, 16)])
    assert [type(answer) for answer in answers].count(ModelInferenceError) == 1
    assert len(model.batches) == 1 + 2 * 4  # 16, then two of 8, of 4, of 2, of 1


def test_a_shared_batch_is_retried_by_halves() -> None:
    model = picky(
        batch={"dynamic_batching": True, "timeout_ms": 10**9, "max_batch_size": 16, "batch_size": 16}
    )  # a full batch does not wait: it would for ever

    async def ask() -> list[Any]:
        inputs = [*range(9), 201, *range(10, 16)]
        return await asyncio.gather(*map(model.predict_async, inputs), return_exceptions=True)

    answers = asyncio.run(ask())
    assert str(answers.pop(9)) == "the forward pass of inputs of shape (1,) failed: not this one"
    assert answers == [2 * k for k in range(16) if k != 9]
    assert len(model.batches) == 1 + 2 * 4
    model.cleanup()


@pytest.mark.parametrize(
    "single", ["cat.png", b"bytes", io.BytesIO(b"x"), {"a": 1}, Path("cat.png"), 3, None]
)
def test_one_input_is_not_several(single: Any) -> None:
    for ask in (picky().predict_batch, picky().predict_batch_optimized):
        with pytest.raises(InputError, match="predict_batch takes a list of inputs, not"):
            ask(single)


# --- not-a-number ---------------------------------------------------------------------------------------------------


def test_weights_of_nan_are_an_error(own_run: Path) -> None:
    weights = own_run / "model.safetensors"
    good = RunModel(cpu())
    good.load_model(own_run)
    good.predict(GOOD)
    tensors, header = read_weights(weights)
    name = next(iter(tensors))
    for value in (torch.nan, torch.inf):
        save_file({**tensors, name: torch.full_like(tensors[name], value)}, weights, header)
        with pytest.raises(ModelLoadError, match=f"{name} of the network holds NaN or Inf"):
            RunModel(cpu()).load_model(own_run)
    with torch.no_grad():
        next(good.model.parameters()).fill_(torch.nan)
    with pytest.raises(
        ModelInferenceError, match=r"outputs are not finite: .* layer layer1 at .* ms \(parameter"
    ):
        good.predict(GOOD)
    model = picky()
    model.model = nn.Linear(1, 1)
    with torch.no_grad():
        model.model.weight.fill_(torch.nan)
    with pytest.raises(ModelInferenceError, match="weight of the network holds NaN or Inf"):
        model.predict(1)
    model.model = nn.Linear(1, 1, device="meta")
    with pytest.raises(ModelInferenceError, match="weight of the network has no values; load weights first"):
        model.predict(1)


# --- images ---------------------------------------------------------------------------------------------------------


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray((GOOD * 200).astype(np.uint8)).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def run_model(runs: dict[str, Path]) -> RunModel:
    model = RunModel(cpu())
    model.load_model(runs["plain"])
    return model


def test_bytes_and_open_files_are_images(run_model: RunModel, tmp_path: Path) -> None:
    data = encoded("png")
    (tmp_path / "digit.png").write_bytes(data)
    expected = run_model.predict(tmp_path / "digit.png").probabilities
    with open(tmp_path / "digit.png", "rb") as file:
        for form in (data, bytearray(data), memoryview(data), io.BytesIO(data), file):
            assert np.array_equal(run_model.predict(form).probabilities, expected)


def test_odd_tensors(run_model: RunModel) -> None:
    expected = run_model.predict(torch.from_numpy(GOOD)).probabilities
    for form in (
        torch.from_numpy(GOOD).bfloat16(),
        torch.from_numpy(GOOD).half(),
        torch.from_numpy(GOOD).double().requires_grad_(),
        np.ma.masked_array(GOOD),
        GOOD[::-1][::-1],
        torch.from_numpy(GOOD).expand(3, 8, 8),
    ):
        assert np.array_equal(run_model.predict(form).probabilities, expected)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.from_numpy(GOOD).to_sparse(), "images are dense tensors"),
        (torch.zeros(8, 8, device="meta"), "images are dense tensors with values, .* on meta"),
        (torch.zeros(8, 8, dtype=torch.complex64), "images of type complex64 are not understood"),
        (torch.zeros((), dtype=torch.uint8), r"of shape \(\) is not"),
        (np.ma.masked_array(GOOD, mask=GOOD > 0), "pixels of the image are masked; fill them first"),
        (np.zeros((8, 8), dtype=[("a", "u1"), ("b", "u1")]), "are not understood"),
        (np.array([[None, 1]]), "images of type object are not understood"),
        (np.array([["a"]]), "are not understood"),
        (np.zeros((8, 8), bool), "images of type bool are not understood"),
        (np.broadcast_to(np.uint8(0), (2**20, 2**20)), "is too large"),
        (Image.new("L", (0, 5)), "an image of 0 x 5 px has no pixels"),
        (b"", "an image of 0 bytes cannot be read"),
        (b"nonsense", "an image of 8 bytes cannot be read: it is a text that begins with 'nonsense'"),
        (encoded("png")[:45], "cannot be read"),
        (io.StringIO("text"), "open for text; open it with mode 'rb'"),
        (bytes(2**26 + 1), "is too large; at most"),
    ],
)  # fmt: skip
def test_no_image(run_model: RunModel, given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        run_model.predict(given)


def test_a_file_that_was_cut_after_it_was_opened(run_model: RunModel) -> None:
    image = Image.open(io.BytesIO(encoded("png")[:-30]))
    with pytest.raises(InputError, match="the image cannot be read"):
        run_model.predict(image)


@pytest.mark.parametrize(
    "one", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.uint8), torch.zeros(3, 8, 8), Image.new("L", (8, 8))]
)  # fmt: skip
def test_an_image_is_not_answered_by_rows(run_model: RunModel, one: Any) -> None:
    with pytest.raises(InputError, match="predict_batch takes several images, and .* is one"):
        run_model.predict_batch(one)


# --- files and settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config", ["seed: [", "- 1", "", "\0", "!!python/object:os.system x", "model: {name: 3}"]
)
def test_damaged_headers(digits_run: Path, tmp_path: Path, config: str) -> None:
    tensors, header = read_weights(digits_run / "model.safetensors")
    save_file(tensors, tmp_path / "model.safetensors", {**header, "config": config})
    with pytest.raises(ModelLoadError):
        RunModel(cpu()).load_model(tmp_path / "model.safetensors")


def test_wrong_settings(digits_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown setting 'dta'.* did you mean 'data'"):
        ModelManager().load_model(digits_run, cpu(), dta="x")
    with pytest.raises(InputError, match="config must be an InferenceConfig, not a str"):
        ModelManager().load_model(digits_run, "cpu")  # type: ignore[arg-type]
    for path in (3, None, "a\0b"):
        with pytest.raises(ModelLoadError):
            ModelManager().load_model(path, cpu())  # type: ignore[arg-type]
    model = RunModel(cpu())
    model.load_model(digits_run)
    for number in (-1, "3", 1.5, True):
        with pytest.raises(InputError, match="num_iterations=.* must be a whole number from 0"):
            model.warmup(number)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="name=3 must be a text"):
        ModelManager().register_model(3, model)  # type: ignore[arg-type]


def test_another_trainings_state_is_not_taken(
    digits_run: Path, runs: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other, model = RunModel(cpu()), RunModel(cpu())
    other.load_model(runs["jpg"])
    other.save_optimized_state(tmp_path / "state")
    model.load_model(digits_run)
    before = model.predict(GOOD).probabilities
    assert model.load_optimized_state(tmp_path / "state") is False
    assert (
        f"are of {runs['jpg'].name} with" in caplog.text and f"not of {digits_run.name} with" in caplog.text
    )
    assert np.array_equal(model.predict(GOOD).probabilities, before)
    model.save_optimized_state(tmp_path / "own")
    weights = tmp_path / "own" / "model.safetensors"
    tensors, header = read_weights(weights)
    assert model.load_optimized_state(tmp_path / "own") is True
    for damage in ({"fused": "["}, {"fused": '["ab", 3]'}, {"fused": '[["a", "b"]]'}):
        save_file(tensors, weights, {**header, **damage})
        assert model.load_optimized_state(tmp_path / "own") is False
    save_file({k: t * torch.nan for k, t in tensors.items()}, weights, header)
    assert model.load_optimized_state(tmp_path / "own") is False
    shutil.copy(digits_run / "model.safetensors", weights)  # weights of the run, but no state
    assert model.load_optimized_state(tmp_path / "own") is False
    assert np.array_equal(model.predict(GOOD).probabilities, before)


def test_another_training_of_the_same_run_is_another_identity(
    own_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, other = RunModel(cpu()), RunModel(cpu())
    model.load_model(own_run)
    before = model.predict(GOOD).probabilities
    weights = own_run / "model.safetensors"
    tensors, header = read_weights(weights)
    save_file({name: 0.9 * t if t.is_floating_point() else t for name, t in tensors.items()}, weights, header)
    other.load_model(own_run)
    other.save_optimized_state(tmp_path / "state")
    assert model.load_optimized_state(tmp_path / "state") is False
    assert f"are of {own_run.name} with the weights " in caplog.text
    assert np.array_equal(model.predict(GOOD).probabilities, before)
    assert other.load_optimized_state(tmp_path / "state") is True


def test_outputs_without_end_are_no_probabilities() -> None:
    class Endless(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([[torch.inf, 0.0]]).expand(len(x), 2)

    model = NetworkModel(cpu(), Endless(), ModelMetadata("x", "", "", (), ()), class_names=("a", "b"))
    for answer in model.predict_batch([torch.zeros(2)]):
        assert isinstance(answer, ModelInferenceError) and "outputs are not finite" in str(answer)


def test_a_pipe_is_not_waited_for(run_model: RunModel, tmp_path: Path) -> None:
    for name in ("pipe.png", "pipe.gif", "pipe.webp", "pipe.mp4"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match=f"{name} (cannot be read: it is no file|does not exist)"):
            run_model.predict(tmp_path / name)
