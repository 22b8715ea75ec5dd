"""Downloads from a server on this machine, and stand-ins for packages that need not be installed."""

from __future__ import annotations

import hashlib
import http.server
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from dynvision.data.downloads import DATA_VARIABLE
from dynvision.errors import InputError
from dynvision.inference import ModelLoadError, ModelManager, RunModel
from dynvision.inference.sources import SOURCES
from tests.inference.toy import cpu


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the run's folder is served."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(digits_run)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def picture(side: int = 6) -> Image.Image:
    return Image.fromarray(np.random.default_rng(2).integers(0, 256, (side, side, 3), dtype=np.uint8))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_from_an_address(address: str, digits_run: Path, tmp_path: Path) -> None:
    digest = sha256(digits_run / "model.safetensors")
    manager = ModelManager()
    manager.download_and_load_model("url", address + "model.safetensors", "far", cpu(), sha256=digest.upper())
    near = RunModel(cpu())
    near.load_model(digits_run)
    image = np.eye(8, dtype=np.float32)
    far = manager.get_model("far").predict(image)
    assert np.array_equal(far.probabilities, near.predict(image).probabilities)
    assert (tmp_path / "data" / "models" / digest / "model.safetensors").is_file()


def test_what_is_kept_is_verified_whenever_it_is_loaded(
    address: str, digits_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    digest = sha256(digits_run / "model.safetensors")
    kept = tmp_path / "data" / "models" / digest / "model.safetensors"
    load = partial(ModelManager().download_and_load_model, "url", config=cpu(), sha256=digest)
    load(address + "model.safetensors", name="first")
    written = kept.stat().st_mtime_ns
    load(address + "model.safetensors", name="second")
    assert kept.stat().st_mtime_ns == written  # downloaded once
    kept.write_bytes(b"somebody else's")
    load(address + "model.safetensors", name="third")
    assert sha256(kept) == digest and "is not what was downloaded; it is downloaded again" in caplog.text


@pytest.mark.parametrize(
    "checksum", ["", "0" * 32, "../../escaped", "/tmp/absolute", "0" * 63 + "/", "g" * 64, None, 3]
)
def test_a_checksum_is_no_path(address: str, tmp_path: Path, checksum: Any) -> None:
    with pytest.raises(ModelLoadError, match="must be the checksum of .*, 64 hexadecimal digits"):
        ModelManager().download_and_load_model(
            "url", address + "model.safetensors", "x", cpu(), sha256=checksum
        )
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_downloaded(address: str, digits_run: Path, tmp_path: Path) -> None:
    manager = ModelManager()
    load = partial(manager.download_and_load_model, "url", name="x", config=cpu())
    known = sha256(digits_run / "model.safetensors")
    with pytest.raises(ModelLoadError, match="md5= can be forged; give the file's SHA-256 in sha256="):
        load(model_id=address + "model.safetensors", md5="0" * 32)
    with pytest.raises(ModelLoadError, match="is not the file: its SHA-256 is"):
        load(model_id=address + "model.safetensors", sha256="0" * 64)
    with pytest.raises(ModelLoadError, match="cannot be downloaded"):
        load(model_id=address + "nothing.safetensors", sha256="0" * 64)
    with pytest.raises(ModelLoadError, match=r"has more than 1,000 bytes \(max_bytes\)"):
        load(model_id=address + "model.safetensors", sha256=known, max_bytes=1000)
    for wrong in (
        digits_run.joinpath("model.safetensors").as_uri(),
        address,
        address + "..",
        "http://[",
        "x",
    ):
        with pytest.raises(ModelLoadError):
            load(model_id=wrong, sha256=known)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    with pytest.raises(
        InputError, match=r"unknown source 'torchvison' \(key source\); did you mean 'torchvision'"
    ):
        manager.download_and_load_model("torchvison", "resnet18", "x", cpu())
    assert manager.list_models() == []


@pytest.mark.parametrize(
    ("name", "package"), [("torchvision", "torchvision"), ("huggingface", "transformers")]
)
def test_a_package_that_is_not_there(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (package, f"{package}.models"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ModelLoadError, match=f"needs the package {package}, which cannot .* pip install {package}"
    ):
        ModelManager().download_and_load_model(name, "resnet18", "x", cpu())


class Mean(nn.Module):
    """Mean of each channel, times a factor."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, pixel_values: Tensor) -> Tensor:
        return pixel_values.mean(dim=(2, 3)) * self.factor


def to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255


def by_hand(image: Image.Image, factor: float) -> dict[str, Any]:
    """The answer of `Mean` with three classes."""
    z = np.asarray(image).mean(axis=(0, 1)) / 255 * factor
    p = np.exp(z) / np.exp(z).sum()
    k = int(p.argmax())
    return {
        "class": k,
        "class_name": "abc"[k],
        "confidence": p[k],
        "probabilities": pytest.approx(p, abs=1e-6),
    }


def test_torchvision(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    weights = SimpleNamespace(transforms=lambda: to_tensor, meta={"categories": ["a", "b", "c"]})
    models: Any = ModuleType("torchvision.models")
    models.list_models = lambda: ["mean"]
    models.get_model_weights = lambda name: SimpleNamespace(DEFAULT=weights)
    models.get_model = lambda name, weights, **arguments: Mean(9.0 if weights else 1.0)
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    manager, image = ModelManager(), picture()
    manager.download_and_load_model("torchvision", "mean", "seen", cpu())
    answer = manager.get_model("seen").predict(image)
    assert answer == {
        **by_hand(image, 9.0),
        "confidence": pytest.approx(by_hand(image, 9.0)["confidence"], abs=1e-6),
    }
    manager.download_and_load_model("torchvision", "mean", "new", cpu(), pretrained=False)
    with pytest.raises(InputError, match="does not state how an input of type Image becomes a tensor"):
        manager.get_model("new").predict(image)
    assert torch.allclose(
        manager.get_model("new").predict(to_tensor(image)), to_tensor(image).mean(dim=(1, 2))
    )
    with pytest.raises(ModelLoadError, match="torchvision has no model 'median'"):
        manager.download_and_load_model("torchvision", "median", "x", cpu())
    weights.transforms = lambda: lambda image: to_tensor(image)[:, :5, :5]
    models.get_model = lambda name, **rest: nn.Sequential(nn.Conv2d(3, 1, 3), nn.Flatten(), nn.Linear(9, 3))
    manager.download_and_load_model("torchvision", "mean", "particular", cpu())
    assert manager.get_model("particular").predict(picture(5))["class_name"] in "abc"
    assert "no warm-up" not in caplog.text  # of the size that the transforms make
    with pytest.raises(InputError, match="'seen' is registered already"):
        manager.download_and_load_model("torchvision", "mean", "seen", cpu())


def test_huggingface(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Classifier(Mean):
        config = SimpleNamespace(id2label={1: "b", 0: "a", 2: "c"})

        def forward(self, pixel_values: Tensor) -> Any:
            return SimpleNamespace(logits=super().forward(pixel_values))

    def processor(images: Image.Image, return_tensors: str) -> dict[str, Tensor]:
        return {"pixel_values": to_tensor(images)[None]}

    def from_pretrained(name: str, **arguments: Any) -> Any:
        asked.append(arguments)
        return Classifier(4.0)

    transformers: Any = ModuleType("transformers")
    transformers.AutoImageProcessor = SimpleNamespace(from_pretrained=lambda name, **arguments: processor)
    transformers.AutoModelForImageClassification = SimpleNamespace(from_pretrained=from_pretrained)
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    manager, image = ModelManager(), picture()
    manager.download_and_load_model("huggingface", "owner/mean", "hf", cpu(), revision="v1")
    assert asked == [{"use_safetensors": True, "revision": "v1"}]
    answers = manager.get_model("hf").predict_batch([image, picture(8)])
    expected = [by_hand(image, 4.0), by_hand(picture(8), 4.0)]
    assert [a["probabilities"] for a in answers] == [e["probabilities"] for e in expected]
    assert [a["class_name"] for a in answers] == [e["class_name"] for e in expected]


def test_a_repository_is_run_only_where_it_is_trusted(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "hubconf.py").write_text(
        "import torch\n"
        "def double(scale=2.0):\n"
        "    network = torch.nn.Linear(2, 2, bias=False)\n"
        "    network.weight.data = torch.eye(2) * scale\n"
        "    return network\n"
        "def number():\n"
        "    return 3\n"
    )
    manager = ModelManager()
    load = partial(manager.download_and_load_model, "pytorch_hub", name="hub", config=cpu())
    with pytest.raises(
        ModelLoadError, match="runs the code of that repository; where you trust it, pass trust_repo=True"
    ):
        load(model_id=f"{repository}/double")
    with pytest.raises(ModelLoadError, match="must be repository/model"):
        load(model_id="double", trust_repo=True)
    with pytest.raises(ModelLoadError, match="is a int and no network"):
        load(model_id=f"{repository}/number", trust_repo=True)
    with pytest.raises(ModelLoadError, match="Cannot find callable triple in hubconf"):
        load(model_id=f"{repository}/triple", trust_repo=True)
    assert manager.list_models() == []
    load(model_id=f"{repository}/double", trust_repo=True, scale=3.0)
    assert manager.get_model("hub").predict(torch.tensor([1.0, 2.0])).tolist() == [3.0, 6.0]


def test_a_source_has_one_name() -> None:
    with pytest.raises(ValueError, match="the source name 'url' is taken"):
        SOURCES.add("url", SOURCES["url"])
