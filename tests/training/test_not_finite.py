"""Not-a-number in a training: it never scores, is named with layer and time, and the rest is measured."""

from __future__ import annotations

import math
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader, TensorDataset

from dynvision.losses import Outputs
from dynvision.models import create
from dynvision.training import fit
from tests.lab import Lab

BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("bad", BAD)
def test_outputs_that_are_not_finite_are_never_right(bad: float) -> None:
    logits = torch.tensor([[[bad, 0.0], [bad, bad], [1.0, 0.0], [0.0, bad], [1.0, 0.0]]])
    outputs = Outputs(logits, torch.tensor([[0, 0, 0, 0, -1]]), -1)
    assert outputs.correct.tolist() == [[False, False, True, False, False]]
    assert outputs.finite.tolist() == [[False, False, True, False, True]]


def network(**arguments: Any) -> Any:
    torch.manual_seed(0)
    shape = {"input_dims": (4, 1, 8, 8), "n_classes": 3, "recurrence_type": "self", "t_recurrence": 4}
    return create("DyRCNNx2", **{**shape, **arguments})


def exploding(**arguments: Any) -> Any:
    """Its second layer overflows as soon as it hears itself: at the third step, of 2 ms each."""
    model = network(**arguments)
    with torch.no_grad():
        (recurrence,) = [
            p for n, p in model.named_parameters() if "layer2.recurrence" in n and "bias" not in n
        ]
        recurrence.fill_(torch.inf)
    return model


def broken() -> Any:
    model = network()
    with torch.no_grad():
        model.classifier.bias.fill_(torch.nan)
    return model


def data(labels: int = 0) -> DataLoader[Any]:
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1
    return DataLoader(TensorDataset(images, torch.full((6,), labels)), batch_size=4)


def trainer(**settings: Any) -> pl.Trainer:
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    return pl.Trainer(**{"accelerator": "cpu", **quiet, **settings})


SAID = "6 of 6 images have outputs that are not finite, which are no guess: "
WHERE = {
    "layer": (exploding, "the first activity that is not finite is in layer layer2 at 6 ms"),
    "outputs": (broken, "the outputs from 2 ms on are not .parameter classifier.bias is not finite"),
}


@pytest.mark.parametrize(("make", "where"), WHERE.values(), ids=WHERE)
def test_validation_and_test_give_no_credit_and_say_where(make: Any, where: str) -> None:
    for run, stage in ((trainer().validate, "validation"), (trainer().test, "test")):
        model = make()
        with pytest.warns(UserWarning, match=f"{stage}: {SAID}.*{where}"):
            (found,) = run(model, data(), verbose=False)
        accuracy = next(value for name, value in found.items() if name.endswith("accuracy"))
        assert accuracy < 1, "every label is 0, which argmax takes of NaN"
        if make is broken:
            assert accuracy == 0


def test_images_beside_those_that_are_not_finite_are_measured() -> None:
    images = torch.rand(4, 1, 8, 8)
    images[1] = torch.nan
    model = network().eval()
    with torch.no_grad():
        guess = int(model(images[:1])[0, -1].argmax())
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.nn.functional.one_hot(torch.tensor(guess), 3))
    pairs = DataLoader(TensorDataset(images, torch.full((4,), guess)), batch_size=2)
    with pytest.warns(UserWarning, match="1 of 4 images .* the images themselves hold values"):
        (found,) = trainer().validate(model, pairs, verbose=False)
    assert found["val_accuracy"] == pytest.approx(3 / 4)


def test_predictions_that_are_not_finite_are_told() -> None:
    with pytest.warns(UserWarning, match=f"prediction: {SAID}the first activity .* layer layer2"):
        found = trainer().predict(exploding(), data())
    assert not torch.cat(found).isfinite().all()  # they are handed out as they are


def test_the_test_of_a_run_gives_no_credit(trained_lab: Lab) -> None:
    from dynvision.config.run import read_run_config
    from dynvision.data import DataModule

    config = read_run_config(trained_lab.root / "config.yaml")
    module = DataModule(trained_lab.root / "data", config.data, loader="torch")
    model = broken()
    with pytest.warns(UserWarning, match="test: 6 of 6 images .* the outputs from 2 ms on"):
        found = fit.test_accuracy(model, module, fitted(model))
    assert (found["test_accuracy"], found["test_accuracy_over_time"]) == (0, 0)


def fitted(model: Any) -> pl.Trainer:
    one = trainer(max_epochs=0)
    one.strategy.connect(model)
    return one


def test_stored_responses_have_no_guess_where_outputs_are_not_finite() -> None:
    model = broken()
    model(next(iter(data()))[0], store_responses=True)
    table = model.get_classifier_dataframe()
    assert (table["guess"] == -1).all() and table["confidence"].isna().all()


def test_a_validation_that_is_not_finite_ends_a_run_in_one_sentence(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says layer and time, and leaves no checkpoint of those weights."""
    (lab.root / "exploding_nets.py").write_text(EXPLODES_IN_VALIDATION)
    monkeypatch.chdir(lab.root)
    config = lab.root / "own.yaml"
    from dynvision.config.run import RunConfig
    from dynvision.config.section import validate
    from dynvision.config.yaml_text import to_yaml

    model = {"name": "exploding_nets:Explodes", "args": {"n_timesteps": 3}}
    config.write_text(to_yaml(validate(RunConfig, {**lab.sections(), "model": model}, "")))
    outcome = lab.train(config)
    assert outcome.status == 2
    assert "val_loss is nan in epoch 1 (validation: 3 of 3 images have outputs" in outcome.said
    assert "layer A at 2 ms" in outcome.said and outcome.said.count("\n") == 1
    assert not list((lab.root / "run" / "checkpoints").glob("*.ckpt"))


EXPLODES_IN_VALIDATION = """\
from torch import nn

from dynvision.base import BaseModel


class Bomb(nn.Module):
    def forward(self, x):
        return x if self.training else x / 0 * 0


class Explodes(BaseModel):
    def _define_architecture(self):
        self.layer_names = ["A"]
        self.layer_operations = ["layer", "bomb", "record"]
        self.A = nn.Conv2d(self.n_channels, 4, 3)
        self.bomb_A = Bomb()
        self.classifier = nn.Linear(4, self.n_classes)
"""


@pytest.mark.parametrize("bad", BAD)
def test_predict_names_weights_that_are_not_finite(lab_with_run: Lab, bad: float) -> None:
    weights = lab_with_run.root / "run" / "model.safetensors"
    with safe_open(weights, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(weights)
    tensors["layer2.conv.weight"] = torch.full_like(tensors["layer2.conv.weight"], bad)
    save_file(tensors, weights, metadata)
    run = lab_with_run.root / "run"
    (run / "config.yaml").write_text((lab_with_run.root / "config.yaml").read_text())
    images = sorted(lab_with_run.images.rglob("*.png"))[:2]
    outcome = lab_with_run.command("predict", run, *images, "--data", lab_with_run.root / "data")
    assert outcome.status == 2
    assert "layer2.conv.weight of the network holds NaN or Inf" in outcome.said
