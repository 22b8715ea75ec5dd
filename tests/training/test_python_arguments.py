"""Arguments in Python are checked by the rules of a configuration, and batches by those that the loaders keep."""

from __future__ import annotations

import math
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dynvision.base import BaseModel
from dynvision.config.section import validate
from dynvision.config.training import TrainingConfig
from dynvision.errors import InputError
from dynvision.models import create


class Own(BaseModel):
    """A model of one's own: one convolution."""

    def _define_architecture(self) -> None:
        self.layer_names = ["A"]
        self.layer_operations = ["layer", "nonlin", "record"]
        self.A = nn.Conv2d(1, 4, 3, padding=1)
        self.nonlin = nn.ReLU()
        self.classifier = nn.Linear(4, 3)


def own(**arguments: Any) -> Own:
    torch.manual_seed(0)
    return Own(**{"input_dims": (3, 1, 8, 8), "n_classes": 3, **arguments})


def listed(**arguments: Any) -> Any:
    return create("DyRCNNx2", **{"input_dims": (3, 1, 8, 8), "n_classes": 3, **arguments})


# As arguments of a model, and as keys of `training`, where they have the same names.
IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"scheduler": "ReduceLROnPlateau"}, "unknown scheduler 'ReduceLROnPlateau'"),
    ({"scheduler": "LambdaLR", "scheduler_args": {"lr_lambda": 1}}, "unknown scheduler 'LambdaLR'"),
    ({"scheduler": "ExponentialLR"}, "scheduler=ExponentialLR needs gamma"),
    ({"scheduler": "StepLR", "scheduler_args": {"step": 3}}, "unknown argument of StepLR 'step'"),
    ({"scheduler": "StepLR", "scheduler_args": {"step_size": "often"}}, "step_size='often' must be a number"),
    ({"scheduler": "OneCycleLR", "warmup_epochs": 1}, "OneCycleLR has a warm-up of its own"),
    ({"scheduler": "OneCycleLR", "optimizer": "Adagrad"}, "cycles the momentum"),
    ({"optimizer": "LBFGS"}, "unknown optimizer 'LBFGS'"),
    ({"optimizer": "adamw"}, "did you mean 'AdamW'"),
    ({"optimizer": "SGD", "optimizer_args": {"momentun": 0.9}}, "unknown argument of SGD 'momentun'"),
    ({"learning_rate": 0}, "learning_rate=0 is not valid"),
    ({"learning_rate": math.nan}, "learning_rate=nan is not valid"),
    ({"weight_decay": -0.1}, "weight_decay=-0.1 is not valid"),
    ({"warmup_epochs": -1}, "warmup_epochs=-1 is not valid"),
    ({"learning_rate_factors": {"recurrence": -1}}, "recurrence=-1 is not valid"),
]


@pytest.mark.parametrize(("given", "said"), IMPOSSIBLE, ids=str)
def test_a_training_is_refused_in_the_same_words(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as of_yaml:
        validate(TrainingConfig, {"scheduler": "none", **given}, "")
    for make in (own, listed):
        with pytest.raises(InputError) as of_python:
            make(**{"scheduler": "none", **given})
        assert said in str(of_python.value)
        assert str(of_python.value) == str(of_yaml.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data_presentation_pattern": "102"}, "data_presentation_pattern='102' is not valid"),
        ({"data_presentation_pattern": ""}, "data_presentation_pattern='' is not valid"),
        ({"data_presentation_pattern": "00"}, "does not show the stimulus"),
        ({"loss_reaction_time": -2}, "loss_reaction_time=-2 is not valid"),
        ({"non_label_index": 1}, "non_label_index=1 is not valid"),
        ({"truncated_bptt_timesteps": -1}, "truncated_bptt_timesteps=-1 is not valid"),
        ({"log_every_n_steps": 0}, "log_every_n_steps=0 must be a whole number, at least 1"),
        ({"log_every_n_steps": 2.5}, "log_every_n_steps=2.5 must be"),
        ({"seed": "x"}, "seed='x' must be a whole number, at least 0"),
        ({"seed": -1}, "seed=-1 must be a whole number, at least 0"),
    ],
    ids=str,
)
def test_a_presentation_is_checked(given: dict[str, Any], said: str) -> None:
    for make in (own, listed):
        with pytest.raises(InputError, match=said):
            make(**given)


def test_what_a_configuration_may_leave_out_may_be_none() -> None:
    model = own(scheduler=None, scheduler_args=None, optimizer_args=None, learning_rate_factors=None)
    assert set(model.configure_optimizers()) == {"optimizer"}
    model.scheduler = None
    assert set(model.configure_optimizers()) == {"optimizer"}
    assert own(data_presentation_pattern=[1, 0]).data_presentation_pattern == "10"
    assert own(learning_rate="1e-2").learning_rate == 0.01


FORMS: list[tuple[Any, dict[str, float]]] = [
    ("CrossEntropyLoss", {"CrossEntropyLoss": 1}),
    (["CrossEntropyLoss", "EnergyLoss"], {"CrossEntropyLoss": 1, "EnergyLoss": 1}),
    ({"CrossEntropyLoss": 1, "EnergyLoss": 0.1}, {"CrossEntropyLoss": 1, "EnergyLoss": 0.1}),
    ({"EnergyLoss": {"weight": 2, "monitor": "drive"}}, {"EnergyLoss": 2}),
    ({"name": "EnergyLoss", "weight": 2}, {"EnergyLoss": 2}),
    ([{"name": "CrossEntropyLoss"}, {"EnergyLoss": 2}], {"CrossEntropyLoss": 1, "EnergyLoss": 2}),
    ([("CrossEntropyLoss", 0.5)], {"CrossEntropyLoss": 0.5}),
    (("CrossEntropyLoss", {"weight": 0.5}), {"CrossEntropyLoss": 0.5}),
    ([["CrossEntropyLoss", {"label_smoothing": 0.1, "time_weighting": "last"}]], {"CrossEntropyLoss": 1}),
    ([("EnergyLoss", 1), ("EnergyLoss", 2)], {"EnergyLoss": 1, "EnergyLoss_2": 2}),
]


@pytest.mark.parametrize(("form", "weights"), FORMS, ids=str)
def test_losses_in_every_form(form: Any, weights: dict[str, float]) -> None:
    assert {name: weight for name, (weight, _) in own(criterion_params=form).losses.items()} == weights


def test_arguments_of_losses_arrive() -> None:
    model = own(criterion_params=[("CrossEntropyLoss", {"label_smoothing": 0.1, "time_weighting": "last"})])
    (_, loss) = model.losses["CrossEntropyLoss"]
    assert (loss.label_smoothing, loss.time_weighting, loss.discount) == (0.1, "last", 0.9)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ([], "training.loss is empty"),
        (None, "loss=None is not valid"),
        (7, "loss=7 is not valid"),
        ([nn.CrossEntropyLoss()], "is not valid; write a list of loss names"),
        ("MSELoss", "unknown loss 'MSELoss'"),
        ([("CrossEntropyLoss", {"wieght": 1})], "unknown key 'wieght'"),
        ([("CrossEntropyLoss", {"label_smoothing": 1})], "label_smoothing=1 is not valid"),
        ([("CrossEntropyLoss", {"time_weighting": "first"})], "unknown value 'first'"),
        ([("CrossEntropyLoss", {"weight": -1})], "weight=-1 is not valid"),
        ({"CrossEntropyLoss": "much"}, "weight='much' is not valid"),
        ({"CrossEntropyLoss": 0}, "no term has a weight above 0"),
        ([("EnergyLoss", {"monitor": "output"})], "unknown value 'output'"),
    ],
    ids=str,
)
def test_losses_in_no_form_are_one_sentence(form: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        own(criterion_params=form)


# --- batches ---------------------------------------------------------------------------------------------------------


def fit(images: Any, labels: Any, **arguments: Any) -> Own:
    model = own(scheduler="none", **arguments)
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    data = DataLoader(TensorDataset(*(part for part in (images, labels) if part is not None)), batch_size=2)
    pl.Trainer(accelerator="cpu", max_epochs=1, **quiet).fit(model, data)
    return model


IMAGES, LABELS = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int16])
def test_labels_of_every_integer_type_train_alike(dtype: torch.dtype) -> None:
    expected, found = fit(IMAGES, LABELS).state_dict(), fit(IMAGES, LABELS.to(dtype)).state_dict()
    assert all(torch.equal(expected[name], value) for name, value in found.items())


def test_labels_of_frames_train() -> None:
    expected = fit(IMAGES, LABELS).state_dict()
    found = fit(IMAGES, LABELS[:, None].expand(-1, 3).contiguous()).state_dict()
    assert all(torch.equal(expected[name], value) for name, value in found.items())


BAD_BATCHES: list[tuple[Any, Any, str]] = [
    (IMAGES.double(), LABELS, "the input is float64 and the model computes in float32"),
    ((IMAGES * 255).byte(), LABELS, "the input is uint8 and the model computes in float32"),
    (IMAGES[:, 0], LABELS, r"input of shape \(2, 8, 8\)"),
    (IMAGES, LABELS.float(), "labels are float32; give class indices"),
    (IMAGES, nn.functional.one_hot(LABELS).float(), "labels are float32; give class indices"),
    (IMAGES, LABELS > 0, "labels are bool; give class indices"),
    (
        IMAGES,
        LABELS[:, None],
        r"labels of shape \(2, 1\) for 2 images shown for 3 frames; .* \(2,\), or .* \(2, 3\)",
    ),
    (IMAGES, LABELS[:, None].expand(-1, 5), r"labels of shape \(2, 5\)"),
    (IMAGES, LABELS[:, None, None].expand(-1, 3, 2), r"labels of shape \(2, 3, 2\)"),
    (
        IMAGES,
        LABELS + 1,
        r"label 3 is none of the model's 3 classes \(0 to 2, or -1 where it does not count\)",
    ),
    (IMAGES, LABELS - 2, "label -2 is none of the model's 3 classes"),
    (IMAGES, torch.full((4,), -1), "all labels of a batch are -1, which does not count"),
    (IMAGES, None, r"a batch is a list of Tensor; give pairs of two tensors, \(images, labels\)"),
]


@pytest.mark.parametrize(("images", "labels", "said"), BAD_BATCHES, ids=range(len(BAD_BATCHES)))
def test_batches_that_no_loader_makes_are_one_sentence(images: Any, labels: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        fit(images, labels)


def test_what_cannot_be_optimised_is_one_sentence() -> None:
    with pytest.raises(InputError, match="scheduler_args.gamma=-0.5 must be a number above 0"):
        own(scheduler="ExponentialLR", scheduler_args={"gamma": -0.5}).configure_optimizers()
    model = own()
    model.requires_grad_(False)
    with pytest.raises(InputError, match="no parameter is trained; set requires_grad of some"):
        model.configure_optimizers()


def test_what_holds_no_images_cannot_be_predicted() -> None:
    for batch in ({"x": IMAGES}, [], ["cat.png"]):
        with pytest.raises(InputError, match="a batch to predict is a (dict|list); give images"):
            own().predict_step(batch)


@pytest.mark.parametrize("labels", [LABELS + 1, LABELS[:, None]], ids=["range", "shape"])
def test_so_are_those_of_validation_test_and_a_loop_of_ones_own(labels: Any) -> None:
    model = own()
    for step in (model.training_step, model.validation_step, model.test_step):
        with pytest.raises(InputError, match="label"):
            step((IMAGES, labels), 0)
