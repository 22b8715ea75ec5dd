"""A checkpoint builds the model that was saved, and loggers are told its arguments."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dynvision.base import BaseModel
from dynvision.errors import InputError
from dynvision.model_components import EulerStep
from dynvision.models import create, model_class
from tests.lab import Lab

SMALL = {"input_dims": (3, 1, 32, 32), "n_classes": 3}
IMAGES = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))


class Own(BaseModel):
    """A model of one's own that fixes an argument of its base, and has some of its own."""

    def __init__(
        self, n_features: int = 4, kernel: Any = 3, activation: Any = nn.ReLU, **kwargs: Any
    ) -> None:
        self.n_features, self.kernel, self.activation = n_features, kernel, activation
        super().__init__(dt=1.0, **kwargs)

    def _define_architecture(self) -> None:
        self.layer_names = ["A"]
        self.layer_operations = ["layer", "tstep", "nonlin", "record"]
        self.A = nn.Conv2d(self.n_channels, self.n_features, self.kernel)
        self.tstep_A = EulerStep(self.dt, self.tau)
        self.nonlin = self.activation()
        self.classifier = nn.Linear(self.n_features, self.n_classes)


class Saving(Own):
    """As Lightning's pages write it."""

    def __init__(self, n_features: int = 4, **kwargs: Any) -> None:
        super().__init__(n_features, **kwargs)
        self.save_hyperparameters()


def saved(model: Any, folder: Path, logger: Any = False, epochs: int = 0) -> Path:
    """The checkpoint of a model that has hardly been trained."""
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(accelerator="cpu", max_epochs=epochs, logger=logger, **quiet)
    data = DataLoader(
        TensorDataset(IMAGES.narrow(2, 0, model.height).narrow(3, 0, model.width), torch.tensor([0, 1]))
    )
    trainer.fit(model, data)
    trainer.save_checkpoint(folder / "model.ckpt")
    return folder / "model.ckpt"


def equal(one: Any, other: Any) -> bool:
    with torch.no_grad():
        return torch.equal(one.eval()(IMAGES), other.eval()(IMAGES))


ARGUMENTS: dict[str, dict[str, Any]] = {
    "DyRCNNx4": {"tau": 20.0, "t_recurrence": 4.0, "recurrence_type": "self", "t_feedforward": {"V1": 2.0}},
    "ResNet18": {"dt": 1.0, "t_feedforward": 1.0},
    "CORnetRT": {"n_timesteps": 2},
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_checkpoint_builds_the_same_model(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    arguments = {**SMALL, **ARGUMENTS[name]}
    if name == "CORnetRT":
        arguments["input_dims"] = (1, 32, 32)
    model = create(name, learning_rate=0.5, **arguments)
    path = saved(model, tmp_path)
    loaded = model_class(name).load_from_checkpoint(path)
    assert equal(model, loaded)
    assert (loaded.dt, loaded.n_timesteps, loaded.learning_rate) == (model.dt, model.n_timesteps, 0.5)
    assert model_class(name).load_from_checkpoint(path, learning_rate=0.25).learning_rate == 0.25


@pytest.mark.parametrize("own", [Own, Saving])
def test_so_does_that_of_a_model_of_ones_own(own: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    arguments = {"tau": np.float64(3.0), "input_dims": torch.Size((3, 1, 32, 32)), "n_classes": np.int64(3)}
    model = own(6, kernel=[5, 3], **arguments)
    loaded = own.load_from_checkpoint(saved(model, tmp_path))
    assert equal(model, loaded) and loaded.tau == 3.0 and loaded.n_features == 6
    content = torch.load(tmp_path / "model.ckpt", weights_only=True)
    assert content["hyper_parameters"]["kernel"] == [5, 3]


def test_what_is_no_plain_value_is_given_again(tmp_path: Path) -> None:
    model = Own(activation=nn.Tanh, **SMALL)
    path = saved(model, tmp_path)
    with pytest.raises(
        InputError, match=r"the argument activation, .* load_from_checkpoint\(path, activation="
    ):
        Own.load_from_checkpoint(path)
    assert equal(model, Own.load_from_checkpoint(path, activation=nn.Tanh))


def test_a_checkpoint_of_before_is_not_filled_with_defaults(tmp_path: Path) -> None:
    model = Own(tau=3.0, **SMALL)
    path = saved(model, tmp_path)
    content = torch.load(path, weights_only=True)
    content = {
        name: value
        for name, value in content.items()
        if name not in ("hyper_parameters", "arguments_not_kept")
    }
    torch.save(content, path)
    with pytest.raises(InputError, match="Own needs n_classes"):
        Own.load_from_checkpoint(path)

    class WithClasses(Own):
        def __init__(self, n_classes: int = SMALL["n_classes"], **kwargs: Any) -> None:
            super().__init__(n_classes=n_classes, **kwargs)

    with pytest.raises(InputError, match="does not hold the arguments of its model; give them"):
        WithClasses.load_from_checkpoint(path)
    assert equal(model, Own.load_from_checkpoint(path, tau=3.0, **SMALL))


def test_copies_keep_their_arguments() -> None:
    model = Own(tau=3.0, **SMALL)
    for other in (copy.deepcopy(model), copy.copy(model), pickle.loads(pickle.dumps(model))):
        assert other.hparams == model.hparams and other.hparams["tau"] == 3.0


def test_a_constructor_refuses_what_it_refused() -> None:
    with pytest.raises(TypeError, match="multiple values for .*argument 'dt'"):
        Own(dt=2.0)
    with pytest.raises(InputError, match="unknown argument 'tua'; did you mean 'tau'"):
        Own(tua=3.0)


@pytest.mark.parametrize("name", ["DyRCNNx2", "ResNet18", "CORnetRT"])
def test_loggers_are_told_every_argument(name: str) -> None:
    model = create(name, n_classes=10)
    told = model.hparams_initial
    assert {"dt", "n_timesteps", "optimizer", "learning_rate", "scheduler", "loss_reaction_time"} <= set(told)
    assert set(model.args.model_dump()) <= set(told)
    assert told["dt"] == model.dt and told["n_timesteps"] == model.n_timesteps


def test_a_logger_of_lightning_is_told(tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    class Logger(CSVLogger):
        def log_hyperparams(self, params: Any = None) -> None:
            told.update(params)

    model = Own(tau=3.0, learning_rate=0.5, **SMALL)
    saved(model, tmp_path, Logger(tmp_path), epochs=1)
    assert (told["tau"], told["learning_rate"], told["dt"], told["n_features"]) == (3.0, 0.5, 1.0, 4)


@pytest.mark.slow
def test_the_configuration_of_wandb_is_filled(tmp_path: Path) -> None:
    from pytorch_lightning.loggers import WandbLogger

    logger = WandbLogger(save_dir=tmp_path, offline=True)
    saved(Own(tau=3.0, **SMALL), tmp_path, logger, epochs=1)
    assert logger.experiment.config["tau"] == 3.0 and logger.experiment.config["optimizer"] == "Adam"


def test_the_checkpoint_of_a_run_builds_its_model(trained_lab: Lab) -> None:
    from safetensors.torch import load_file

    from dynvision.config.run import read_run_config

    run = trained_lab.root / "run"
    config = read_run_config(trained_lab.root / "config.yaml")
    model = model_class(config.model.name).load_from_checkpoint(run / "checkpoints" / "best.ckpt")
    assert model.args.model_dump(mode="json") == config.model.args
    weights = load_file(run / "model.safetensors")
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
