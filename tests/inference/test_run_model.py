"""A trained run answers as its own test does, to the bit, whatever form an image comes in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning.plugins.precision import Precision
from safetensors.torch import save_file

from dynvision.config.run import read_run_config
from dynvision.data import DataModule, read_manifest
from dynvision.data.sources import open_source
from dynvision.errors import InputError
from dynvision.inference import ModelInferenceError, ModelLoadError, RunModel
from dynvision.inference.devices import precision_of
from dynvision.models.build import build_model
from dynvision.models.weights import load_weights, read_weights
from tests.inference.toy import cpu


def loaded(folder: Path, **sections: object) -> RunModel:
    model = RunModel(cpu(**sections))
    model.load_model(folder)
    return model


def data_folder(run: Path) -> Path:
    return run.parents[1] / "data" / read_run_config(run / "config.yaml").data_id


def test_images(run: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Stored pixels of the test images in the order of the test, and their labels."""
    manifest = read_manifest(data_folder(run))
    source = open_source(manifest.config)
    loader = DataModule(data_folder(run)).test_dataloader()
    chosen = [source[index] for index in loader.image_indices]
    return [image for image, _ in chosen], np.array([label for _, label in chosen])


test_images.__test__ = False  # type: ignore[attr-defined]


def test_the_accuracy_on_all_test_images_is_that_of_the_runs_test(digits_run: Path) -> None:
    images, labels = test_images(digits_run)
    tested = json.loads((digits_run / "test.json").read_text())
    answers = loaded(digits_run, batch={"batch_size": 32}).predict_batch(images)
    assert len(images) == tested["n_images"] == 359
    accuracy = float(np.mean([answer.label for answer in answers] == labels))
    assert 0.2 < accuracy < 1  # not what guessing or anything at all would give
    assert accuracy == tested["test_accuracy"]
    over_time = np.mean(
        [(a.probabilities.argmax(axis=1) == k).mean() for a, k in zip(answers, labels, strict=True)]
    )
    assert over_time == pytest.approx(tested["test_accuracy_over_time"], abs=1e-6)


def test_outputs_equal_those_of_the_test_to_the_bit(digits_run: Path) -> None:
    run = read_run_config(digits_run / "config.yaml")
    data = DataModule(data_folder(digits_run), run.data, batch_size=32)
    network = build_model(run, data.input_shape, data.n_classes)
    load_weights(network, read_weights(digits_run / "model.safetensors")[0], "weights")
    batch = next(iter(data.test_dataloader()))
    with torch.inference_mode():
        expected = network.eval().respond(batch, shuffle=False)
    model = loaded(digits_run)
    pixels, _ = test_images(digits_run)
    shown = torch.cat([model.preprocess(image) for image in pixels[:32]])
    assert torch.equal(shown, batch[0])
    with torch.inference_mode():
        assert torch.equal(model.forward(shown), expected.logits)
    answer = model.predict(pixels[0])
    p = expected.logits[0].double().softmax(-1).numpy()
    assert answer.probabilities == pytest.approx(p, abs=1e-6)
    assert answer.time_ms.tolist() == [2.0 * (step + 1) for step in range(len(p))]
    assert answer.final == int(np.flatnonzero((expected.labels[0] != expected.ignore_index).numpy())[-1])
    assert answer.class_name == str(p[answer.final].argmax())


@pytest.mark.parametrize(("precision", "dtype"), [("64", torch.float64), ("bf16-mixed", torch.float32)])
def test_precision_is_that_of_the_training(runs: dict[str, Path], precision: str, dtype: torch.dtype) -> None:
    folder = runs[precision]
    model = loaded(folder, batch={"batch_size": 32})
    images, labels = test_images(folder)
    assert model.model_info["optimizations"]["precision"] == precision
    assert next(model.model.parameters()).dtype == dtype
    answers = model.predict_batch(images)
    tested = json.loads((folder / "test.json").read_text())
    assert np.mean([answer.label for answer in answers] == labels) == tested["test_accuracy"]


def test_half_precision_of_a_gpu_is_not_that_of_a_cpu(caplog: pytest.LogCaptureFixture) -> None:
    name, precision = precision_of("16-mixed", torch.device("cpu"), use_fp16=False)
    assert name == "32, since 16-mixed needs a GPU" and type(precision) is Precision
    assert "training.precision=16-mixed needs a GPU; the network computes in 32 bits" in caplog.text
    assert (
        type(precision_of("bf16-mixed", torch.device("cuda"), use_fp16=True)[1]) is Precision
    )  # it is autocast


def test_every_form_of_an_image_has_the_same_answer(digits_run: Path, tmp_path: Path) -> None:
    model = loaded(digits_run, performance={"cache_entries": 0})
    pixels = test_images(digits_run)[0][5]  # uint8, (8, 8, 1)
    grey = pixels[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "digit.png")
    forms = [
        tmp_path / "digit.png",
        str(tmp_path / "digit.png"),
        Image.fromarray(grey),
        Image.fromarray(grey).convert("RGB"),
        grey,
        grey.astype(np.uint16) * 257,
        pixels / 255,
        (pixels / 255).astype(np.float32),
        np.repeat(pixels, 3, axis=2),
        torch.from_numpy(pixels).permute(2, 0, 1),
        torch.from_numpy(grey),
        torch.from_numpy(grey).float() / 255,
        np.repeat(pixels, 3, axis=2).transpose(1, 0, 2).copy().transpose(1, 0, 2),  # not contiguous
    ]
    expected = model.preprocess(pixels)
    for form in forms:
        assert torch.equal(model.preprocess(form), expected), type(form)
    assert all(
        np.array_equal(a.probabilities, model.predict(pixels).probabilities)
        for a in map(model.predict, forms)
    )
    stacked = model.predict_batch(np.stack([pixels, pixels[::-1]]))
    assert len(stacked) == 2
    assert np.allclose(stacked[1].probabilities, model.predict(pixels[::-1]).probabilities, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((2, 8, 8, 1), np.uint8), "a batch of 2 images; predict_batch answers batches"),
        (torch.zeros(8, 8, 1), r"of shape \(8, 8, 1\) is not \(H, W\) or \(C, H, W\)"),
        (np.zeros((1, 8, 8)), r"of shape \(1, 8, 8\) is not \(H, W\) or \(H, W, C\)"),
        (np.zeros((0, 8), np.uint8), "is not"),
        (np.full((8, 8), 200.0), "hold 0..1, not 200..200; give 0..255 as uint8"),
        (np.full((8, 8), -2.0), "hold 0..1"),
        (np.full((8, 8), np.nan), "hold 0..1"),
        (np.zeros((8, 8), np.int64), "images of type int64 are not understood"),
        (Path("no such.png"), "image no such.png does not exist"),
        ({"pixels": 1}, "not an object of type dict"),
    ],
)
def test_what_is_no_image_is_refused(digits_run: Path, given: object, said: str) -> None:
    model = loaded(digits_run)
    with pytest.raises(InputError, match=said):
        model.predict(given)
    with pytest.raises(InputError, match=f"input 1: .*{said}"):
        model.predict_batch([np.zeros((8, 8), np.uint8), given], keep_going=False)
    assert model.get_performance_stats()["error_counts"] == {"InputError": 2}


def test_jpeg_storage_is_what_the_test_images_went_through(runs: dict[str, Path]) -> None:
    folder = runs["jpg"]
    model = loaded(folder)
    run = read_run_config(folder / "config.yaml")
    shown, _ = next(iter(DataModule(data_folder(folder), run.data, batch_size=8).test_dataloader()))
    pixels, _ = test_images(folder)
    assert torch.equal(torch.cat([model.preprocess(image) for image in pixels[:8]]), shown)
    raw = model._transform(torch.from_numpy(np.stack(pixels[:8])), np.arange(8), 0)
    assert not torch.allclose(raw, shown, atol=0.01)  # compression is there to be seen


# --- files that cannot be used --------------------------------------------------------------------------------------


def refused(path: Path, *said: object, data: Path | None = None) -> None:
    model = RunModel(cpu(), data)
    with pytest.raises(ModelLoadError) as error:
        model.load_model(path)
    for part in said:
        assert str(part) in str(error.value)
    assert not model.is_loaded
    with pytest.raises(ModelInferenceError, match="no model is loaded; call load_model first"):
        model.predict(np.zeros((8, 8), np.uint8))


def test_weights_alone_know_their_run(own_run: Path) -> None:
    (own_run / "config.yaml").unlink()
    model = loaded(own_run / "model.safetensors")
    assert model.metadata is not None
    assert model.metadata.name == own_run.name and model.metadata.model_type == "DyRCNNx2"
    assert model.metadata.input_shape == (1, 8, 8) and model.metadata.output_shape == (
        len(model._time_ms),
        10,
    )


def test_weights_alone_know_how_their_images_are_shown(own_run: Path, tmp_path: Path) -> None:
    image = np.eye(8, dtype=np.float32)
    by_header = loaded(own_run)
    answer = by_header.predict(image)
    shutil.copy(own_run / "model.safetensors", tmp_path / "alone.safetensors")
    data = Path(shutil.move(data_folder(own_run), tmp_path / "elsewhere"))
    assert np.array_equal(
        loaded(tmp_path / "alone.safetensors").predict(image).probabilities, answer.probabilities
    )
    by_manifest = RunModel(cpu(), data)
    by_manifest.load_model(own_run)
    assert np.array_equal(by_manifest.predict(image).probabilities, answer.probabilities)
    assert by_manifest.predict(image).class_names == answer.class_names


def test_weights_that_know_nothing_of_images_need_the_data(own_run: Path, tmp_path: Path) -> None:
    weights = own_run / "model.safetensors"
    answer = loaded(own_run).predict(np.eye(8, dtype=np.float32))
    tensors, header = read_weights(weights)
    save_file(tensors, weights, {name: text for name, text in header.items() if name != "images"})
    assert np.array_equal(
        loaded(own_run).predict(np.eye(8, dtype=np.float32)).probabilities, answer.probabilities
    )
    shutil.move(data_folder(own_run), tmp_path / "elsewhere")
    refused(
        own_run, "do not state how their images are shown", "give the folder of the run's data with data="
    )
    save_file(tensors, weights, {**header, "images": "{"})
    refused(own_run, "images in the header of the weights is not valid JSON")
    save_file(tensors, weights, {**header, "images": '{"mean": [0.1]}'})
    refused(own_run, "key images.class_names is missing")


def test_missing_and_damaged_files(own_run: Path, tmp_path: Path) -> None:
    weights, data = own_run / "model.safetensors", data_folder(own_run)
    refused(tmp_path / "nothing", "nothing do not exist")
    refused(own_run, "elsewhere/manifest.json is missing; give the folder", data=tmp_path / "elsewhere")
    weights.write_bytes(weights.read_bytes()[:1000])
    refused(own_run, weights, "cannot be read as safetensors", data=Path(data))
    weights.unlink()
    refused(own_run, weights, "do not exist", data=Path(data))
    (own_run / "config.yaml").write_text("seed: [")
    refused(own_run, "not valid YAML")


def test_weights_of_another_run(own_run: Path) -> None:
    config = own_run / "config.yaml"
    config.write_text(config.read_text().replace("epochs: 1", "epochs: 2"))
    refused(own_run, "are of run", own_run.name)
    config.write_text(config.read_text().replace("epochs:", "epohcs:"))
    refused(own_run, "did you mean 'epochs'?")
