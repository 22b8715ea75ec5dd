"""A trainer of one's own: any length, any data that Lightning takes, and a compiled model."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from dynvision.base import BaseModel
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.yaml_text import to_yaml
from dynvision.errors import InputError
from dynvision.models import create
from tests.lab import Lab

N_IMAGES, BATCH = 9, 4  # three batches an epoch


class Stream(IterableDataset):  # type: ignore[type-arg]
    """The images one after the other; nobody knows how many."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(*images_and_labels(), strict=True)


class Rates(pl.Callback):
    """The learning rate of every update."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: Any) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])


def images_and_labels(n_images: int = N_IMAGES, size: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n_images, 1, size, size, generator=generator), torch.arange(n_images) % 3


def loader(kind: str = "map", batch_size: int = BATCH) -> DataLoader[Any]:
    data = Stream() if kind == "stream" else TensorDataset(*images_and_labels())
    return DataLoader(data, batch_size=batch_size)


def network(**arguments: Any) -> Any:
    torch.manual_seed(0)
    return create(
        "DyRCNNx2", **{"input_dims": (3, 1, 8, 8), "n_classes": 3, "learning_rate": 1.0, **arguments}
    )


def trainer(**settings: Any) -> pl.Trainer:
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    return pl.Trainer(**{"accelerator": "cpu", **quiet, **settings})


def rates(data: DataLoader[Any], settings: dict[str, Any], **model: Any) -> list[float]:
    seen = Rates()
    trainer(callbacks=[seen], **settings).fit(network(**model), data)
    return seen.rates


STEP = {"scheduler": "StepLR", "scheduler_args": {"step_size": 1, "gamma": 0.5}}
COSINE = {"scheduler": "CosineAnnealingLR"}
QUARTERS = pytest.approx([1.0, 0.853553, 0.5, 0.146447], abs=1e-5)  # (1 + cos(pi u / 4)) / 2


@pytest.mark.parametrize("kind", ["map", "stream"])
@pytest.mark.parametrize(
    ("settings", "model", "expected"),
    [
        ({"max_epochs": 2}, STEP, [1, 1, 1, 0.5, 0.5, 0.5]),
        ({"max_steps": 5}, STEP, [1, 1, 1, 0.5, 0.5]),
        ({"max_steps": 5, "max_epochs": 9}, STEP, [1, 1, 1, 0.5, 0.5]),
        ({"max_steps": 4}, COSINE, QUARTERS),
        ({"max_steps": 3, "accumulate_grad_batches": 2}, STEP, [1, 1, 0.5]),
        ({"max_steps": 4}, {"scheduler": "none"}, [1, 1, 1, 1]),
        ({"max_epochs": 1, "limit_train_batches": 2}, STEP, [1, 1]),
        ({"max_epochs": 1, "limit_train_batches": 0}, STEP, []),
        ({"max_epochs": 1, "limit_train_batches": 0}, {}, []),
        ({"fast_dev_run": True}, STEP, [1]),
    ],
    ids=str,
)
def test_schedules_follow_every_length_of_a_training(
    kind: str, settings: dict[str, Any], model: dict[str, Any], expected: Any
) -> None:
    assert rates(loader(kind), settings, **model) == expected


def test_a_schedule_over_data_without_a_length_moves_once_an_epoch() -> None:
    found = rates(loader("stream"), {"max_epochs": 2}, **COSINE)
    assert found == pytest.approx([1, 1, 1, 0.5, 0.5, 0.5])


@pytest.mark.parametrize("kind", ["map", "stream"])
def test_a_training_for_some_time_trains(kind: str) -> None:
    settings = {"max_time": {"hours": 1}, "limit_train_batches": 3, "callbacks": [StopAfter(4)]}
    one = trainer(**settings)
    one.fit(network(**STEP), loader(kind))
    assert one.global_step == 4


class StopAfter(pl.Callback):
    def __init__(self, n_updates: int) -> None:
        self.n_updates = n_updates

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.should_stop = trainer.global_step >= self.n_updates


def test_what_needs_a_length_that_nobody_knows_is_one_sentence() -> None:
    endless = {"max_time": {"hours": 1}}
    with pytest.raises(
        InputError, match="OneCycleLR takes its length .* give the trainer max_epochs or max_steps$"
    ):
        rates(loader(), endless, scheduler="OneCycleLR")
    with pytest.raises(InputError, match="max_epochs or max_steps, or T_max in scheduler_args$"):
        rates(loader(), endless, **COSINE)
    with pytest.raises(InputError, match="warmup_epochs=0.5: the number of updates in an epoch is not known"):
        rates(loader("stream"), {"max_epochs": 2}, scheduler="StepLR", warmup_epochs=0.5)


@pytest.mark.parametrize(("settings", "epochs"), [({"max_epochs": 2}, "2"), ({"max_steps": 4}, "1.33333")])
def test_a_warm_up_as_long_as_the_training_is_refused(settings: dict[str, Any], epochs: str) -> None:
    for scheduler in ("StepLR", "CosineAnnealingLR", "none"):
        with pytest.raises(InputError, match=f"^warmup_epochs=2 must be less than epochs={epochs}$"):
            rates(loader(), settings, scheduler=scheduler, warmup_epochs=2.0)
        assert len(rates(loader(), {"fast_dev_run": True}, scheduler=scheduler, warmup_epochs=2.0)) == 1


def test_without_a_trainer_schedules_move_once_an_epoch() -> None:
    made = network(**STEP).configure_optimizers()
    schedule = made["lr_scheduler"]
    assert schedule["interval"] == "epoch"
    made["optimizer"].step()
    schedule["scheduler"].step()
    assert made["optimizer"].param_groups[0]["lr"] == 0.5
    assert set(network(scheduler="none").configure_optimizers()) == {"optimizer"}


def test_a_compiled_model_trains_as_the_model() -> None:
    plain = network(learning_rate=0.01)
    compiled = copy.deepcopy(plain)
    trainer(max_epochs=1).fit(plain, loader())
    torch.compiler.reset()
    seen: list[int] = []

    def backend(graph: Any, _: Any) -> Any:
        seen.append(1)
        return graph.forward

    one = trainer(max_epochs=1)
    one.fit(torch.compile(compiled, backend=backend), loader(), loader())
    assert seen, "nothing was compiled"
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("model", [{}, {"data_presentation_pattern": "01"}], ids=str)
def test_predictions_are_those_of_the_validation(model: dict[str, Any]) -> None:
    network_ = network(**model).eval()
    images, labels = images_and_labels()
    with torch.no_grad():
        expected = network_.respond((images, labels), shuffle=False).logits
    for data in (TensorDataset(images, labels), TensorDataset(images), images):
        found = trainer().predict(network_, DataLoader(data, batch_size=BATCH))
        torch.testing.assert_close(torch.cat(found), expected)


class Normalised(BaseModel):
    """A convolution over 8 x 8 pixels with batch normalisation: on images of 8 x 8 it has one value a channel."""

    def _define_architecture(self) -> None:
        self.layer_names = ["A"]
        self.layer_operations = ["layer", "norm", "nonlin", "record"]
        self.A = nn.Conv2d(1, 4, 8, stride=8)
        self.norm_A = nn.BatchNorm2d(4)
        self.nonlin = nn.ReLU()
        self.classifier = nn.Linear(4, 3)


def normalised(size: int = 8) -> Any:
    torch.manual_seed(0)
    return Normalised(
        input_dims=(2, 1, size, size), n_classes=3, scheduler="none", optimizer="SGD", store_responses=4
    )


@pytest.mark.parametrize(
    ("kind", "batch_size", "said"),
    [
        ("map", 4, "9 training images in batches of 4 leave a last batch of one image, .* e.g. to 5$"),
        ("map", 8, "9 training images in batches of 8 leave a last batch of one image, .* e.g. to 9$"),
        ("map", 1, "training batches have one image, .*; raise batch_size above 1$"),
        ("stream", 4, "a training batch has one image, .*drop_last"),
    ],
)
def test_a_last_batch_of_one_image_is_refused_before_training(kind: str, batch_size: int, said: str) -> None:
    model = normalised()
    before = copy.deepcopy(model.state_dict())
    one = trainer(max_epochs=1)
    with pytest.raises(InputError, match=said):
        one.fit(model, loader(kind, batch_size))
    if kind == "map":
        assert one.global_step == 0
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["torch", "memory"])
def test_so_is_one_of_the_projects_own_loaders(lab: Lab, name: Any) -> None:
    """27 digits in batches of 13."""
    from dynvision.config.run import read_run_config
    from dynvision.data import DataModule

    config = read_run_config(lab.root / "config.yaml")
    data = DataModule(lab.root / "data", config.data, batch_size=13, loader=name)
    one = trainer(max_epochs=1)
    with pytest.raises(
        InputError, match="27 training images in batches of 13 leave a last batch of one image"
    ):
        one.fit(normalised(), datamodule=data)
    assert one.global_step == 0


def test_so_is_that_of_a_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.root / "normalised_nets.py").write_text(NORMALISED)
    monkeypatch.chdir(lab.root)
    config = lab.root / "own.yaml"
    model = {"name": "normalised_nets:Normalised", "args": {"n_timesteps": 2}}
    training = {"epochs": 1, "batch_size": 13}
    config.write_text(
        to_yaml(validate(RunConfig, {**lab.sections(), "model": model, "training": training}, ""))
    )
    outcome = lab.train(config)
    assert outcome.status == 2 and outcome.said.count("\n") == 1
    assert "27 training images in batches of 13 leave a last batch of one image" in outcome.said


NORMALISED = """\
from torch import nn

from dynvision.base import BaseModel


class Normalised(BaseModel):
    def _define_architecture(self):
        self.layer_names = ["A"]
        self.layer_operations = ["layer", "norm", "record"]
        self.A = nn.Conv2d(self.n_channels, 4, 8)
        self.norm_A = nn.BatchNorm2d(4)
        self.classifier = nn.Linear(4, self.n_classes)
"""


@pytest.mark.parametrize(
    ("settings", "batch_size"), [({}, 5), ({"limit_train_batches": 2}, 4), ({"max_epochs": 0}, 4)], ids=str
)
def test_batches_that_can_be_normalised_train(settings: dict[str, Any], batch_size: int) -> None:
    one = trainer(**{"max_epochs": 1, **settings})
    one.fit(normalised(), loader(batch_size=batch_size))
    assert one.global_step == (0 if "max_epochs" in settings else 2)


@pytest.mark.parametrize("drop_last", [False, True])
def test_data_without_a_batch_are_refused(drop_last: bool) -> None:
    images, labels = images_and_labels(3 * drop_last)
    data = DataLoader(TensorDataset(images, labels), batch_size=4, drop_last=drop_last)
    with pytest.raises(InputError, match="the training data loader has no batch"):
        trainer(max_epochs=1).fit(normalised(), data)


def test_a_batch_of_one_image_with_several_pixels_trains_as_before() -> None:
    """Where every normalisation has several values the check changes nothing: statistics, noise, stored responses."""
    images, labels = images_and_labels(5, 16)
    model = normalised(16)
    model.learning_rate = 0.001
    plain = copy.deepcopy(model)
    data = DataLoader(TensorDataset(images, labels), batch_size=4)
    torch.manual_seed(1)
    trainer(max_epochs=1).fit(model, data)
    drawn = torch.rand(1)
    optimizer = torch.optim.SGD(plain.parameters(), 0.001)
    plain.train()
    torch.manual_seed(1)
    for x, y in data:
        optimizer.zero_grad()
        logits = plain(x)
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.repeat_interleave(2)).backward()
        optimizer.step()
    assert torch.equal(torch.rand(1), drawn)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-5, atol=1e-7, msg=name)
    assert model.recording("train").n_images == 4 and model.recording("call").n_images == 0
