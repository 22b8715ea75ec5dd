"""What a training writes, and that equal seeds are equal bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from dynvision.config.run import RunConfig, read_run_config, thaw
from dynvision.config.section import validate
from dynvision.config.training import TRAINING_COLUMNS
from dynvision.config.yaml_text import to_yaml
from tests.lab import Lab


def test_all_is_written(trained_lab: Lab) -> None:
    run = trained_lab.root / "run"
    assert {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()} == {
        "checkpoints/best.ckpt",
        "model.safetensors",
        "test.json",
        "trained.json",
        "training.csv",
    }


def test_the_log_has_a_row_an_epoch(trained_lab: Lab) -> None:
    table = pd.read_csv(trained_lab.root / "run" / "training.csv")
    assert tuple(table) == TRAINING_COLUMNS
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table[["train_accuracy", "val_accuracy"]].stack().between(0, 1).all()
    assert (table[["train_loss", "val_loss", "seconds"]] > 0).all(axis=None)
    assert table["train_loss"].iloc[-1] < table["train_loss"].iloc[0]
    assert table["learning_rate"].iloc[-1] < table["learning_rate"].iloc[0] <= 0.002


def test_the_test_is_that_of_the_best_weights(trained_lab: Lab) -> None:
    """Recomputed from the weights on disk, image by image."""
    from dynvision.data import DataModule
    from dynvision.models.build import build_model
    from dynvision.models.weights import load_weights, read_weights

    folder = trained_lab.root / "run"
    summary = json.loads((folder / "test.json").read_text())
    log = pd.read_csv(folder / "training.csv")
    assert summary["epoch"] == log.loc[log["val_loss"].idxmin(), "epoch"]
    assert summary["seconds"] == pytest.approx(log["seconds"].sum(), abs=1e-3)
    config = read_run_config(trained_lab.root / "config.yaml")
    data = DataModule(trained_lab.root / "data", config.data, batch_size=1, loader="torch")
    model = build_model(config, data.input_shape, data.n_classes)
    tensors, header = read_weights(folder / "model.safetensors")
    load_weights(model, tensors, "")
    model.eval()
    last, every = [], []
    with torch.no_grad():
        for image, label in data.test_dataloader():
            right = (model(image).argmax(-1) == label[:, None])[0]
            last.append(float(right[-1]))
            every.append(float(right.float().mean()))
    assert summary["n_images"] == len(last) == 6
    assert summary["test_accuracy"] == pytest.approx(sum(last) / 6)
    assert summary["test_accuracy_over_time"] == pytest.approx(sum(every) / 6)
    assert header["run_id"] == config.run_id


def test_the_weights_tell_what_built_them(trained_lab: Lab) -> None:
    import yaml

    with safe_open(str(trained_lab.root / "run" / "model.safetensors"), framework="pt") as file:
        header = file.metadata()
    config = read_run_config(trained_lab.root / "config.yaml")
    assert thaw(yaml.safe_load(header["config"])) == config


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_equal_seeds_are_equal_bits(lab: Lab, trained_lab: Lab) -> None:
    assert lab.train().status == 0
    assert equal(weights(lab.root / "run"), weights(trained_lab.root / "run"))
    assert (
        pd.read_csv(lab.root / "run" / "training.csv")
        .drop(columns="seconds")
        .equals(pd.read_csv(trained_lab.root / "run" / "training.csv").drop(columns="seconds"))
    )


def test_another_seed_is_another_network(lab: Lab, trained_lab: Lab) -> None:
    """On the same split, so that only initial weights and order differ."""
    assert lab.train(lab.config("other", seed=2, data={"split_seed": 1})).status == 0
    ours, theirs = weights(lab.root / "run"), weights(trained_lab.root / "run")
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert {name for name in ours if name.endswith("conv.weight")} <= set(different)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64"])
def test_every_precision_of_a_cpu_trains(lab: Lab, precision: str) -> None:
    outcome = lab.train(lab.config(training={"precision": precision, "epochs": 1}))
    assert outcome.status == 0, outcome.said
    assert json.loads((lab.root / "run" / "test.json").read_text())["n_images"] == 6
    dtype = torch.float64 if precision == "64" else torch.float32
    assert {tensor.dtype for tensor in weights(lab.root / "run").values()} == {dtype}


IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "half precision": ({"precision": "16-mixed"}, "training.precision=16-mixed needs a GPU"),
    "learning rate": (
        {"learning_rate": 1e30, "scheduler": "none", "gradient_clip": 0},
        "lower the learning_rate",
    ),
}


@pytest.mark.parametrize(("training", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_what_cannot_be_trained_is_one_sentence(lab: Lab, training: dict[str, Any], said: str) -> None:
    outcome = lab.train(lab.config(training=training))
    assert outcome.status == 2
    assert said in outcome.said and outcome.said.count("\n") == 1
    assert outcome.said.startswith("dynvision train: ")
    assert not (lab.root / "run" / "model.safetensors").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_sentence(lab: Lab) -> None:
    outcome = lab.train(options=("--accelerator", "gpu"))
    assert outcome.status == 2
    assert outcome.said == (
        "dynvision train: execution.accelerator=gpu, but torch finds no GPU here; set it to auto or cpu\n"
    )


def test_a_calm_log(trained_lab: Lab) -> None:
    """A line for each epoch and one for the test, nothing else."""
    said = (trained_lab.root / "training.log").read_text().splitlines()
    run_id = read_run_config(trained_lab.root / "config.yaml").run_id
    assert len(said) == 4
    for epoch in (1, 2, 3):
        assert said[epoch - 1].startswith(f"{run_id}: epoch {epoch}/3 train_loss=")
    assert said[3].startswith(f"{run_id}: test accuracy 0.") and said[3].endswith(" on 6 images")


@pytest.mark.slow
def test_wandb_logs_offline_beside_the_csv(lab: Lab, trained_lab: Lab) -> None:
    outcome = lab.train(options=("--logger", "wandb"))
    assert outcome.status == 0, outcome.said
    assert len(list((lab.root / "run" / "wandb").glob("offline-run-*/*.wandb"))) == 1
    assert pd.read_csv(lab.root / "run" / "training.csv")["epoch"].tolist() == [1, 2, 3]
    assert equal(weights(lab.root / "run"), weights(trained_lab.root / "run"))


@pytest.mark.slow
def test_wandb_online_without_an_account_is_one_sentence(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(lab.root))
    monkeypatch.setenv("NETRC", str(lab.root / "none"))
    outcome = lab.train(options=("--logger", "wandb", "--wandb-mode", "online"))
    assert outcome.status == 2
    assert outcome.said.splitlines()[-1].startswith("dynvision train: W&B cannot log online (")
    assert "set execution.wandb_mode: offline" in outcome.said and "Traceback" not in outcome.said


OWN_MODEL = """\
from torch import nn

from dynvision.base import BaseModel
from dynvision.model_components import EulerStep, RecurrentConnectedConv2d


class MyNet(BaseModel):
    def __init__(self, n_features=4, **kwargs):
        self.n_features = n_features
        super().__init__(**kwargs)

    def _define_architecture(self):
        self.layer_names = ["A"]
        self.A = RecurrentConnectedConv2d(self.n_channels, self.n_features, dt=self.dt, t_recurrence=4.0)
        self.tstep_A = EulerStep(self.dt, self.tau)
        self.nonlin = nn.ReLU()
        self.classifier = nn.Linear(self.n_features, self.n_classes)
"""


def test_a_model_of_ones_own_beside_the_snakefile(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.root / "my_nets.py").write_text(OWN_MODEL)
    monkeypatch.chdir(lab.root)
    config = lab.root / "own.yaml"
    model = {"name": "my_nets:MyNet", "args": {"n_features": 6, "n_timesteps": 3, "tau": 6}}
    config.write_text(to_yaml(validate(RunConfig, {**lab.sections(), "model": model}, "")))
    outcome = lab.train(config)
    assert outcome.status == 0, outcome.said
    assert weights(lab.root / "run")["A.conv.weight"].shape == (6, 1, 3, 3)
    outcome = lab.show(lab.experiment(), tables="tables", config=config)
    assert outcome.status == 0, outcome.said
    assert set(pd.read_parquet(lab.root / "tables" / "responses.parquet")["layer"]) == {"A"}
    (lab.root / "my_nets.py").unlink()
    outcome = lab.train(config, "again")
    assert (outcome.status, outcome.said) == (
        2,
        "dynvision train: model_name 'my_nets:MyNet': no module named 'my_nets'\n",
    )
