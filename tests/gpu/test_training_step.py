"""Training steps on a GPU: scores by a graph of their own, what is wrong looked at before the weights change."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from dynvision.errors import InputError
from dynvision.models import create
from tests.base.networks import randomize
from tests.gpu.device import ACCELERATOR, DEVICE, NEEDS_GPU

pytestmark = NEEDS_GPU

LABELS = torch.arange(18) % 4
LOSSES: dict[str, Any] = {
    "cross-entropy": [("CrossEntropyLoss", {"label_smoothing": 0.1, "time_weighting": "linear"})],
    "with a cost of activity": [("CrossEntropyLoss", {}), ("EnergyLoss", {"weight": 0.1})],
    "with a cost of changes": [("CrossEntropyLoss", {}), ("TemporalConsistencyLoss", {"weight": 2.0})],
}


def network(**arguments: Any) -> Any:
    torch.manual_seed(0)
    model = create("DyRCNNx4", input_dims=(5, 3, 16, 16), n_classes=4, learning_rate=1e-3, **arguments)
    return randomize(model, gain=0.5)


class Watched(pl.Callback):
    """Keeps the losses, and the weights before each batch."""

    def __init__(self) -> None:
        self.losses: list[torch.Tensor] = []
        self.before: dict[str, torch.Tensor] = {}

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        self.before = {name: value.clone() for name, value in module.state_dict().items()}

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.losses.append(outputs["loss"])


def fit(model: Any, labels: torch.Tensor, **settings: Any) -> tuple[pl.Trainer, Watched]:
    """Train for three epochs of batches of 4, the last smaller."""
    images = torch.randn(len(labels), 3, 16, 16, generator=torch.Generator().manual_seed(1))
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    watched = Watched()
    given = {"max_epochs": 3, "callbacks": [watched], "gradient_clip_val": 1.0, **quiet, **settings}
    trainer = pl.Trainer(accelerator=ACCELERATOR, devices=1, **given)
    trainer.fit(model, DataLoader(TensorDataset(images, labels), 4))
    return trainer, watched


@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("settings", [{}, {"accumulate_grad_batches": 2}, {"precision": "bf16-mixed"}])
def test_a_training_with_graphs_ends_as_one_without(losses: Any, settings: dict[str, Any]) -> None:
    bound = 2e-2 if settings.get("precision") else 1e-4
    ended = []
    with torch.backends.cudnn.flags(allow_tf32=False):
        for graphs in (True, False):
            model = network(criterion_params=losses, cuda_graphs=graphs)
            trainer, watched = fit(model, LABELS, **settings)
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            ended.append((torch.stack(watched.losses).cpu(), metrics))
            if DEVICE == "cuda":
                assert len(model._scoring._graphs) == (2 if graphs else 0)  # and one of the last batch
    torch.testing.assert_close(ended[0][0], ended[1][0], rtol=bound, atol=bound)
    assert ended[0][1].keys() == ended[1][1].keys()
    for name, value in ended[1][1].items():
        assert ended[0][1][name] == pytest.approx(value, rel=bound, abs=0.06 if "accuracy" in name else bound)


@pytest.mark.parametrize("place", [1, 17])
@pytest.mark.parametrize("label", [7, -5])
def test_a_wrong_label_is_one_sentence_before_the_weights_change(place: int, label: int) -> None:
    labels = LABELS.clone()
    labels[place] = label
    model = network()
    with pytest.raises(InputError, match=f"label {label} is none of the model's 4 classes"):
        fit(model, labels)
    assert float(torch.ones(2, device=DEVICE).sum()) == 2  # the GPU goes on


def test_a_loss_that_is_not_finite_is_explained_before_the_weights_change() -> None:
    model, watched = network(), Watched()

    class Break(pl.Callback):
        def on_train_batch_end(
            self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            if trainer.current_epoch == 1 and batch_idx == 2:  # the graphs are captured
                with torch.no_grad():
                    module.V2.conv.weight.fill_(torch.inf)

    with pytest.raises(InputError, match="V2"):
        fit(model, LABELS, callbacks=[watched, Break()])
    after = model.state_dict()
    assert all(torch.equal(value, after[name].to(value.device)) for name, value in watched.before.items())


def test_a_loss_that_is_kept_is_not_overwritten() -> None:
    _, watched = fit(network(), LABELS)
    assert len({float(loss) for loss in watched.losses}) > 10


def test_the_gradient_at_the_images_is_that_without_graphs() -> None:
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2)).to(DEVICE)
    found = []
    with torch.backends.cudnn.flags(allow_tf32=False):
        for graphs in (True, False):
            model = network(cuda_graphs=graphs).to(DEVICE)
            for _ in range(4):
                x = images.clone().requires_grad_()
                model.zero_grad()
                model(x).square().sum().backward()
            found.append([x.grad, *(p.grad for p in model.parameters())])
            if DEVICE == "cuda":
                assert len(model._graphs) == graphs
    for one, other in zip(*found, strict=True):
        if other is not None:
            assert (one - other).norm() <= 1e-5 * other.norm() + 1e-9
