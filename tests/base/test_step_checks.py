"""What a training step requires and logs: conditions are looked at before the weights change, means are over images."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader, TensorDataset

from dynvision.base import scores
from dynvision.errors import InputError
from dynvision.losses import Checks, CrossEntropyLoss, Verdict
from dynvision.models import create


class Later(Checks):
    """Checks as they are on a GPU, here on a CPU."""

    def __init__(self, later: bool = False) -> None:
        super().__init__(later=True)


@pytest.fixture(params=[Checks, Later], ids=["at once", "later"])
def checks(request: Any, monkeypatch: Any) -> Any:
    monkeypatch.setattr(scores, "Checks", request.param)
    return request.param


def network(**arguments: Any) -> Any:
    return create("DyRCNNx2", input_dims=(4, 1, 8, 8), n_classes=3, **arguments)


def fit(model: Any, labels: torch.Tensor, images: torch.Tensor | None = None, **settings: Any) -> pl.Trainer:
    torch.manual_seed(1)
    images = torch.randn(len(labels), 1, 8, 8) if images is None else images
    data = DataLoader(TensorDataset(images, labels), 4)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "accelerator": "cpu",
    }
    trainer = pl.Trainer(**{"max_epochs": 2, "enable_model_summary": False, **quiet, **settings})
    trainer.fit(model, data)
    return trainer


LABELS = torch.arange(10) % 3
WRONG = {
    "a label that is no class": (
        torch.where(torch.arange(10) == 9, 7, LABELS),
        {},
        "label 7 is none of the model's 3",
    ),
    "a negative label": (
        torch.where(torch.arange(10) == 9, -5, LABELS),
        {},
        "label -5 is none of the model's 3",
    ),
    "no label": (torch.full((10,), -1), {}, "all labels of a batch are -1"),
    "no scored step": (
        torch.tensor([[0, -1, -1, -1]]).repeat(10, 1),
        {"loss_reaction_time": 4.0},
        "no step of the presentation is scored",
    ),
}


@pytest.mark.parametrize(("labels", "arguments", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_raised_before_the_weights_change(
    checks: Any, labels: torch.Tensor, arguments: dict[str, Any], sentence: str
) -> None:
    model, seen = network(**arguments), []

    class Look(pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            seen.append({name: value.clone() for name, value in module.state_dict().items()})

    with pytest.raises(InputError, match=sentence):
        fit(model, labels, callbacks=[Look()])
    for name, value in model.state_dict().items():
        assert torch.equal(value, seen[-1][name])


def _own_hooks(base: Any) -> Any:
    class Own(base):  # type: ignore[misc]
        def on_before_optimizer_step(self, optimizer: Any) -> None:
            """Of one's own, as for norms of gradients."""

        def on_train_epoch_end(self) -> None:
            """Of one's own."""

    return Own


def _own_step(base: Any) -> Any:
    class Own(base):  # type: ignore[misc]
        automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:
            optimizer = self.optimizers(use_pl_optimizer=False)
            optimizer.zero_grad()
            self.manual_backward(self.model_step(batch, "train"))
            optimizer.step()

    return Own


def _without_backward(base: Any) -> Any:
    class Own(base):  # type: ignore[misc]
        def training_step(self, batch: Any, batch_idx: int) -> None:
            self.model_step(batch, "train")

    return Own


@pytest.mark.parametrize("own", [_own_hooks, _own_step, _without_backward])
@pytest.mark.parametrize("at", [5, 9])
def test_a_model_with_methods_of_its_own_changes_no_weights_either(checks: Any, own: Any, at: int) -> None:
    """At a batch in the middle, and at the last one."""
    torch.manual_seed(0)
    model = own(type(network()))(input_dims=(4, 1, 8, 8), n_classes=3)
    images, seen = torch.randn(10, 1, 8, 8), []
    images[at] = 3e38  # the activity overflows

    class Look(pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            seen.append({name: value.clone() for name, value in module.state_dict().items()})

    with pytest.raises(InputError, match="the first activity that is not finite is in layer layer1"):
        fit(model, LABELS, images=images, max_epochs=1, callbacks=[Look()])
    assert len(seen) == at // 4 + 1
    assert all(torch.equal(value, seen[-1][name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("when", ["on_before_backward", "on_after_backward"])
def test_a_training_that_was_broken_off_leaves_nothing_to_the_next(checks: Any, when: str) -> None:
    class Breaks(pl.Callback):
        pass

    def raises(*_: Any) -> None:
        raise ZeroDivisionError

    setattr(Breaks, when, raises)
    model = network()
    with pytest.raises((ZeroDivisionError, InputError)):
        fit(model, torch.full((10,), 7), callbacks=[Breaks()])
    fit(model, LABELS)


def test_what_is_wrong_is_explained_in_the_precision_of_the_step(monkeypatch: Any) -> None:
    monkeypatch.setattr(scores, "Checks", Later)
    model, precisions = network(), []
    respond = model.respond

    def noted(*arguments: Any, **settings: Any) -> Any:
        precisions.append(torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu"))
        return respond(*arguments, **settings)

    model.respond = noted
    with pytest.raises(InputError, match="label 7"):
        fit(model, torch.full((10,), 7), precision="bf16-mixed")
    assert precisions == [torch.bfloat16, torch.bfloat16]


def test_a_loss_that_is_not_finite_is_explained_before_the_weights_change(checks: Any) -> None:
    model = network()
    with torch.no_grad():
        model.classifier.bias[0] = torch.inf
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match="classifier.bias"):
        fit(model, LABELS)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("n_processes", [1, 2])
def test_processes_that_train_together_look_before_they_share_gradients(
    n_processes: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(scores, "Checks", Later)
    monkeypatch.setattr(pl.Trainer, "world_size", n_processes)
    model, called = network(), []
    backward = model.backward
    model.backward = lambda *arguments: called.append(0) or backward(*arguments)
    with pytest.raises(InputError, match="label 7"):
        fit(model, torch.where(torch.arange(10) == 9, 7, LABELS))
    assert len(called) == (3 if n_processes == 1 else 2)


def test_without_a_trainer_a_step_raises_itself(checks: Any) -> None:
    with pytest.raises(InputError, match="label 7"):
        network().model_step((torch.randn(2, 1, 8, 8), torch.tensor([0, 7])), "train")


def test_a_step_outside_of_a_training_raises_itself(checks: Any) -> None:
    wrong = torch.randn(2, 1, 8, 8), torch.tensor([0, 7])

    class Looks(pl.Callback):
        def on_validation_start(self, trainer: Any, module: Any) -> None:
            with pytest.raises(InputError, match="label 7"):
                module.model_step(wrong, "train")

    model = network()
    data = DataLoader(TensorDataset(torch.randn(4, 1, 8, 8), LABELS[:4]), 4)
    fit(model, LABELS, callbacks=[Looks()]).validate(model, data, verbose=False)
    with pytest.raises(InputError, match="label 7"):
        model.model_step(wrong, "train")


def test_accumulated_batches_are_looked_at_too(checks: Any) -> None:
    with pytest.raises(InputError, match="label 7"):
        fit(network(), torch.where(torch.arange(10) == 1, 7, LABELS), accumulate_grad_batches=3)


def test_a_training_is_the_same_however_its_conditions_are_looked_at(monkeypatch: Any) -> None:
    trained = []
    for kind in (Checks, Later):
        monkeypatch.setattr(scores, "Checks", kind)
        torch.manual_seed(3)
        model = network()
        fit(model, LABELS)
        trained.append(model.state_dict())
    assert all(torch.equal(value, trained[1][name]) for name, value in trained[0].items())


@pytest.mark.parametrize(
    "losses",
    [
        [("CrossEntropyLoss", {"label_smoothing": 0.1, "time_weighting": "linear"})],
        [
            ("CrossEntropyLoss", {}),
            ("EnergyLoss", {"weight": 0.1}),
            ("TemporalConsistencyLoss", {"weight": 2.0}),
        ],
        [("CrossEntropyLoss", {}), ("ActivityLoss", {"weight": 0.1, "monitor": "drive"})],
    ],
)
def test_what_a_graph_of_scores_is_given_is_all_that_they_depend_on(losses: Any, monkeypatch: Any) -> None:
    """As a graph computes them: from other tensors than those of the batch of its capture, in the order of its inputs."""
    monkeypatch.setattr(scores, "Checks", Later)
    model, captured = network(criterion_params=losses), []

    def scored(seed: int) -> tuple[scores.Scores, Any]:
        torch.manual_seed(seed)
        batch = torch.randn(4, 1, 8, 8), torch.randint(3, (4,))
        outputs = model.respond(batch, shuffle=False)
        return model._scoring(model, outputs, batch[1], finite=True), outputs

    def run(self: Any, version: Any, key: Any, trial: Any, inputs: Any, watch: Any) -> Any:
        captured.append(trial)
        return captured[0](inputs, watch)

    expected, _ = scored(2)
    monkeypatch.setattr(scores.CudaGraphs, "run", run)
    monkeypatch.setattr(scores.Scoring, "captures", lambda *_: True)
    scored(1)
    found, outputs = scored(2)
    for one, other in zip(values_of(found), values_of(expected), strict=True):
        assert torch.equal(one, other)
    assert len(captured) == 2 and bool(found.fine)
    (gradient,) = torch.autograd.grad(found.loss, outputs.logits)
    assert gradient.abs().sum() > 0


def test_a_copy_of_a_model_between_two_looks_has_nothing_to_look_at() -> None:
    model = network()
    model._verdict = Verdict(torch.tensor(False), list)
    assert copy.deepcopy(model)._verdict is None and pickle.loads(pickle.dumps(model))._verdict is None


def test_a_verdict_waits_for_the_gpu_of_its_batch(monkeypatch: Any) -> None:
    class Fine:
        is_cuda, device = True, "cuda:1"

        def to(self, *_: Any, **__: Any) -> torch.Tensor:
            return torch.tensor(True)

    class Stream:
        def record_event(self) -> Any:
            return self

        def synchronize(self) -> None:
            waited.append(self)

    waited: list[Any] = []
    streams = {"cuda:1": Stream(), None: Stream()}
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: streams[device])
    Verdict(Fine(), list).look()  # type: ignore[arg-type]
    assert waited == [streams["cuda:1"]]


def values_of(found: scores.Scores) -> list[torch.Tensor]:
    return [found.loss, found.accuracy, *found.terms.values()]


def test_losses_say_themselves_whether_they_are_captured() -> None:
    class Mine(CrossEntropyLoss):
        pass

    class Own(type(network())):  # type: ignore[misc]
        def loss_terms(self, outputs: Any) -> Any:
            return super().loss_terms(outputs)

    given = {"input_dims": (4, 1, 8, 8), "n_classes": 3}
    assert scores.may_be_captured(CrossEntropyLoss()) and not scores.may_be_captured(Mine())
    assert (
        network().captures_loss
        and not Own(**given).captures_loss
        and not network(cuda_graphs=False).captures_loss
    )


def test_means_are_over_the_images_of_an_epoch_and_named_once() -> None:
    model, losses, named = network(), [], []
    step, log = model.training_step, model.log
    model.training_step = lambda *arguments: losses.append(step(*arguments)) or losses[-1]
    model.log = lambda name, *arguments, **settings: named.append(name) or log(name, *arguments, **settings)
    trainer = fit(model, LABELS)
    sizes = torch.tensor([4.0, 4.0, 2.0])
    expected = (torch.stack(losses[3:]).detach() * sizes).sum() / 10
    torch.testing.assert_close(trainer.callback_metrics["train_loss"], expected)
    assert named == 2 * ["train_loss", "train_accuracy"]


def test_a_log_of_ones_own_receives_every_batch() -> None:
    named: list[str] = []

    class Own(type(network())):  # type: ignore[misc]
        def log(self, name: str, *arguments: Any, **settings: Any) -> None:
            named.append(name)
            super().log(name, *arguments, **settings)

    fit(Own(input_dims=(4, 1, 8, 8), n_classes=3), LABELS, max_epochs=1)
    assert named == 3 * ["train_loss", "train_accuracy"]


def test_a_name_that_is_logged_otherwise_is_refused() -> None:
    class Own(type(network())):  # type: ignore[misc]
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("train_loss", torch.tensor(1.0), on_step=True)
            return super().training_step(batch, batch_idx)

    with pytest.raises(MisconfigurationException, match="train_loss"):
        fit(Own(input_dims=(4, 1, 8, 8), n_classes=3), LABELS)
