"""Trainings that begin with weights of another run, and that train a part of the model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from dynvision.config.training import TrainingConfig
from dynvision.errors import InputError
from dynvision.models import create
from dynvision.models.weights import read_weights, save_weights
from dynvision.runs import plan_workflow
from dynvision.training.pretrained import FrozenStatistics, prepare
from tests.lab import Lab

ROOT = Path(__file__).parents[2]


def build(n_classes: int = 3, **arguments: object) -> nn.Module:
    torch.manual_seed(n_classes)
    return create("ResNet20", input_dims=(2, 1, 8, 8), n_classes=n_classes, **arguments)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "published.safetensors"
    save_weights(build(), path, {})
    return path


def settings(path: Path | None, **values: object) -> TrainingConfig:
    given = {} if path is None else {"init_with_pretrained": str(path)}
    return TrainingConfig.model_validate({**given, **values})


def test_all_weights_are_those_of_the_file(weights: Path) -> None:
    torch.manual_seed(9)
    model = create("ResNet20", input_dims=(2, 1, 8, 8), n_classes=3)
    prepare(model, settings(weights))
    found, _ = read_weights(weights)
    assert all(torch.equal(tensor, found[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_exceptions_keep_their_own(weights: Path) -> None:
    """Another number of classes, and a recurrence that the published network did not have."""
    model = build(5, recurrence_type="full")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    prepare(model, settings(weights, pretrained_except=["fc.*", "addrecurrence_*"]))
    found, _ = read_weights(weights)
    for name, tensor in model.state_dict().items():
        own = name.startswith(("fc.", "addrecurrence_"))
        assert torch.equal(tensor, before[name] if own else found[name]), name


@pytest.mark.parametrize(
    ("n_classes", "values", "message"),
    [
        (5, {}, r"fc.weight has shape \(3, 64\) instead of \(5, 64\).*training.pretrained_except"),
        (3, {"recurrence_type": "self"}, r"missing addrecurrence_layer1.recurrence.weight"),
    ],
)
def test_what_does_not_fit_is_named(
    weights: Path, n_classes: int, values: dict[str, object], message: str
) -> None:
    model = build(n_classes, **values)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        prepare(model, settings(weights))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("key", ["trainable", "pretrained_except"])
def test_a_pattern_that_matches_nothing_is_named(weights: Path, key: str) -> None:
    with pytest.raises(
        InputError, match=rf"unknown parameter 'fx.weight' \(key training.{key}\); did you mean 'fc.weight'"
    ):
        prepare(build(), settings(weights, **{key: ["fc.*", "fx.weight"]}))


def test_exceptions_need_a_file() -> None:
    with pytest.raises(InputError, match="pretrained_except needs training.init_with_pretrained"):
        prepare(build(), settings(None, pretrained_except="fc.*"))
    assert settings(None, trainable="fc.*").trainable == ("fc.*",)
    assert settings(None, init_with_pretrained="none").init_with_pretrained is None


def test_frozen_parameters_and_their_statistics_stay() -> None:
    model = build()
    prepare(model, settings(None, trainable=["layer3.*", "fc.*"]))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.train()
    FrozenStatistics().on_train_batch_start(None, model, None, 0)  # type: ignore[arg-type]
    model(torch.randn(4, 1, 8, 8)).square().sum().backward()
    optimizer.step()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and all(name.startswith(("layer3.", "fc.")) for name in changed)
    assert {"layer3.0.bn1.running_mean", "layer3.2.conv2.weight", "fc.bias"} <= changed


def test_a_training_goes_on_from_another_run(lab_with_run: Lab) -> None:
    """By the command: what is frozen is bit for bit that of the file, the rest has learned, and the header says whence."""
    lab, source = lab_with_run, lab_with_run.root / "run" / "model.safetensors"
    values = {"init_with_pretrained": str(source), "trainable": ["layer2.*", "classifier.*"], "epochs": 1}
    config = lab.config("second", training=values)
    assert lab.train(config, "second").status == 0
    first, _ = read_weights(source)
    second, header = read_weights(lab.root / "second" / "model.safetensors")
    assert header["pretrained"] == str(source)
    assert header["pretrained_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    for name, tensor in second.items():
        assert torch.equal(tensor, first[name]) == (not name.startswith(("layer2.", "classifier."))), name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.safetensors", "training.init_with_pretrained: there is no file"),
        ("resnet18.pth", "must be a .safetensors file; turn a published checkpoint into one with"),
        ("damaged.safetensors", "cannot be read as safetensors"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(lab: Lab, name: str, message: str) -> None:
    (lab.root / "damaged.safetensors").write_bytes(b"damaged")
    outcome = lab.train(lab.config("third", training={"init_with_pretrained": str(lab.root / name)}), "third")
    assert outcome.status == 2
    assert message in outcome.said.splitlines()[-1]


def test_the_file_is_part_of_the_run_and_checked_before_planning(tmp_path: Path, weights: Path) -> None:
    def plan(path: object, **training: object):  # type: ignore[no-untyped-def]
        values = {"model_name": "DyRCNNx2", "results_dir": str(tmp_path / "results")}
        return plan_workflow(
            ROOT / "config", {**values, "training": {"init_with_pretrained": path, **training}}
        )

    (with_file,), (without,) = plan(str(weights)).runs, plan(None).runs
    assert with_file != without
    assert plan(str(weights)).pretrained(with_file) == [str(weights)]
    assert plan(None).pretrained(without) == []
    with pytest.raises(InputError, match="there is no file /nowhere.safetensors"):
        plan("/nowhere.safetensors")
    with pytest.raises(InputError, match="must be a .safetensors file; turn a published checkpoint into one"):
        plan("resnet18.pth")
    # Of every run, not of the first one alone.
    swept = {"paired": {"training.init_with_pretrained": [str(weights), "/nowhere.safetensors"]}}
    with pytest.raises(InputError, match="there is no file /nowhere.safetensors"):
        plan_workflow(ROOT / "config", {"model_name": "DyRCNNx2", **swept})
