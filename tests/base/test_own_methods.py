"""What a class writes itself is run by everything that runs a model, or refused before training: one rule for all of it."""

from __future__ import annotations

import copy

import pandas as pd
import pytest
import torch
from torch import nn

from dynvision.base import BaseModel, CoreModel, Frames
from dynvision.errors import InputError
from dynvision.experiments.trial import run_trials
from dynvision.model_components import EulerStep, RecurrentConnectedConv2d, Skip
from dynvision.models import DyRCNN, DyRCNNx2
from dynvision.trials import IMAGE, Segment, Trial

T, K = 6, 3


class PerFrame(BaseModel):
    """A stateless network of one's own; what it answers depends on nothing but the frame."""

    def __init__(self, input_dims=(T, 1, 8, 8), n_classes=K, **kwargs):
        super().__init__(input_dims=input_dims, n_classes=n_classes, **kwargs)

    def _define_architecture(self):
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.classifier = nn.Linear(4, self.n_classes)

    def forward(self, x):
        return self.classifier(self.norm(self.conv(2 * x)).relu().mean(dim=(2, 3)))


class AlwaysThree(PerFrame):
    """Answers class 2 to whatever it sees."""

    def forward(self, x):
        return torch.zeros(len(x), self.n_classes).index_fill(
            1, torch.tensor([2]), 1.0
        ) + 0 * super().forward(x)


@pytest.fixture
def x():
    return torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def expected(model, x):
    return model.classifier(model.norm(model.conv(2 * x)).relu().mean(dim=(2, 3)))


@torch.no_grad()
def test_every_way_to_run_a_model_runs_a_forward_of_ones_own(x):
    model = PerFrame().eval()
    one = expected(model, x)
    every = one[:, None].expand(-1, T, -1)
    torch.testing.assert_close(model(x), every)
    video = torch.randn(2, 5, 1, 8, 8)
    by_frame = torch.stack([expected(model, frame) for frame in video.unbind(1)], dim=1)
    torch.testing.assert_close(model(video), by_frame)
    logits, state = model.step(x, model.initial_state(2))
    torch.testing.assert_close(logits, one)
    logits, _ = model.advance(Frames(0, 3, x, constant=True), state)
    torch.testing.assert_close(logits, every[:, :3])
    torch.testing.assert_close(model.respond((x, torch.tensor([0, 1])), shuffle=False).logits, every)
    torch.testing.assert_close(copy.deepcopy(model)(x), every)
    assert model.chain == ("forward",) and model.read_out(one) is one


@torch.no_grad()
def test_it_is_recorded_and_observed(x):
    model = PerFrame().eval()
    y = model(x, store_responses=True)
    responses = model.get_responses()
    assert torch.equal(responses["classifier"], y) and torch.equal(responses["forward"], y)
    seen = []
    model(x, observer=lambda layer, frames: seen.append((layer, frames.first, frames.n)))
    assert seen == [("forward", 0, T)]


@torch.no_grad()
def test_an_experiment_hears_it_and_not_what_lies_behind_it(x):
    model = AlwaysThree().eval()
    trial = Trial((Segment(2), Segment(3, IMAGE), Segment(2)), model.dt)
    (_, _, logits), *_ = run_trials(model, x, [trial])
    assert (logits.argmax(dim=-1) == 2).all()
    assert (model(x).argmax(dim=-1) == 2).all()


def test_presentation_reaction_time_and_residual_steps_are_those_of_every_model(x):
    model = PerFrame(
        input_dims=(8, 1, 8, 8), data_presentation_pattern="01", loss_reaction_time=2.0, t_feedforward=4.0
    ).eval()
    outputs = model.respond((x, torch.tensor([0, 1])), shuffle=False)
    assert (
        outputs.labels[1].tolist() == [-1] * 7 + [1] * 3
    )  # 2 steps of delay, 4 without stimulus, 1 of reaction
    null = expected(model, torch.zeros_like(x))
    assert not outputs.logits[:, :2].any()
    torch.testing.assert_close(outputs.logits[:, 2:6], null[:, None].expand(-1, 4, -1))
    torch.testing.assert_close(outputs.logits[:, 6:], expected(model, x)[:, None].expand(-1, 4, -1))


def test_batch_normalisation_of_a_forward_of_ones_own_sees_one_step_at_a_time():
    model, again = PerFrame(), PerFrame()
    again.load_state_dict(model.state_dict())
    video = torch.randn(4, 3, 1, 8, 8)
    y = model(video)
    torch.testing.assert_close(y, torch.stack([expected(again, f) for f in video.unbind(1)], dim=1))
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_forward_may_call_the_forward_of_another_and_inherit_it(x):
    class Doubled(PerFrame):
        def forward(self, x):
            return 2 * super().forward(x)

    class Heir(Doubled):
        pass

    torch.manual_seed(0)
    model = Heir().eval()
    torch.testing.assert_close(model(x)[:, 0], 2 * expected(model, x))

    class Mixed:
        def forward(self, x):
            return self.classifier(x.mean(dim=(2, 3)).expand(-1, 4))

    model = type("FromMixin", (Mixed, PerFrame), {})().eval()
    torch.testing.assert_close(model(x)[:, 1], model.classifier(x.mean(dim=(2, 3)).expand(-1, 4)))


def layered(forward, **more):
    def define(self):
        self.layer_names = ["conv"]
        self.conv = nn.Conv2d(1, 4, 3)
        self.classifier = nn.Linear(4, self.n_classes)

    methods = {"_define_architecture": define, "forward": forward, **more}
    return type("Layered", (BaseModel,), methods)


class Through(BaseModel):
    def _define_architecture(self):
        self.conv = nn.Conv2d(1, 4, 3)
        self.classifier = nn.Linear(4, self.n_classes)

    def forward(self, x):
        return super().forward(x)


def test_a_forward_that_calls_the_engine_is_refused(x):
    model = Through(input_dims=(T, 1, 8, 8), n_classes=K)
    for run in (
        lambda: model(x),
        lambda: model.step(x, model.initial_state(2)),
        lambda: model.training_step((x, torch.tensor([0, 1])), 0),
    ):
        with pytest.raises(
            InputError, match=r"Through.forward calls the forward of its base, .* before the first layer"
        ):
            run()


@pytest.mark.parametrize("method", ["__call__", "advance", "initial_state", "step"])
def test_a_method_of_the_engine_is_not_replaced(method):
    """Training would run the engine, and an experiment or a stream the method, or the other way round."""
    half = type("Half", (), {method: lambda self, *given, **named: None})
    with pytest.raises(
        InputError, match=rf"Replaced\.{method} replaces a method of the engine, .* before the first layer"
    ):
        type("Replaced", (half, PerFrame), {})(input_dims=(T, 1, 8, 8), n_classes=K)


def test_a_forward_assigned_to_the_object_is_refused_where_it_would_not_run(x):
    model = PerFrame(input_dims=(T, 1, 8, 8), n_classes=K).eval()
    state = model.initial_state(2)
    begun = model.step(x, state)[0]
    model.forward = lambda images: torch.zeros(2, T, K)
    with pytest.raises(InputError, match="forward was assigned to this PerFrame"):
        model.step(x, state)
    del model.forward
    model.forward = model.forward  # as Lightning puts it back after a step of several processes
    torch.testing.assert_close(model.step(x, state)[0], begun)


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: super(type(self), self).forward(x),
        lambda self, x: self.classifier(self.conv(x).mean(dim=(2, 3))),
        lambda self, x_0, **kwargs: BaseModel.forward(self, 2 * x_0, **kwargs),
    ],
)
def test_layers_and_a_forward_of_ones_own_are_refused_before_training(forward):
    words = (
        r"Layered has layers \(conv\).* before the first layer \(layer_operations\) or into the transforms"
    )
    with pytest.raises(InputError, match=words):
        layered(forward)(input_dims=(T, 1, 8, 8), n_classes=K)

    class Preprocessing(DyRCNNx2):
        def forward(self, x, **kwargs):
            return super().forward(x * 2, **kwargs)

    with pytest.raises(InputError, match=r"Preprocessing has layers \(layer1, layer2\)"):
        Preprocessing(input_dims=(T, 1, 8, 8), n_classes=K)


def test_components_that_need_time_are_refused_where_they_would_have_none(x):
    class Recurrent(PerFrame):
        def _define_architecture(self):
            super()._define_architecture()
            self.conv = RecurrentConnectedConv2d(1, 4)

    with pytest.raises(
        InputError, match=r"conv \(RecurrentConnectedConv2d\) needs time, and Recurrent.forward runs"
    ):
        Recurrent()
    for part in (RecurrentConnectedConv2d(1, 4), EulerStep(tau=5.0), Skip("a", 1, 1, (8, 8))):

        class Inside(CoreModel):
            def _define_architecture(self, part=part):
                self.layer_names = ["a"]
                self.a = nn.Sequential(nn.Identity(), part)

        with pytest.raises(
            InputError, match=rf"1 \({type(part).__name__}\) needs time and lies inside .*'layer' of layer a"
        ):
            Inside(input_dims=(T, 1, 8, 8))(x)

    class Fine(PerFrame):
        def _define_architecture(self):
            super()._define_architecture()
            self.conv = RecurrentConnectedConv2d(1, 4, recurrence_type="none")

    assert Fine()(x).shape == (2, T, K)


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (lambda self, x: x, r"must return \(2, n_classes\), not \(2, 1, 8, 8\)"),
        (lambda self, x: [x], r"must return \(2, n_classes\), not list"),
        (lambda self, x: x.mean(dim=(1, 2, 3)), r"must return \(2, n_classes\), not \(2,\)"),
        (
            lambda self, x: x.flatten(2),
            r"must return \(2, n_classes\), not \(2, 1, 64\); the time axis is made",
        ),
        (lambda self, x: x.flatten(1), "the read-out has 64 outputs and n_classes=3"),
        (lambda self, x, t: x, r"forward\(self, x, t\) must be callable with images alone"),
    ],
)
def test_what_a_forward_of_ones_own_returns(forward, words, x):
    own = type("Own", (PerFrame,), {"forward": forward})
    with pytest.raises(InputError, match=words):
        own()(x)


def test_defined_again_is_initialised_again(x):
    class Twice(BaseModel):
        def __init__(self, fill, **kwargs):
            super().__init__(input_dims=(T, 1, 8, 8), n_classes=K, **kwargs)
            self.fill = fill
            self._define_architecture()

        fill = 1.0

        def _define_architecture(self):
            self.layer_names = ["conv"]
            self.conv = RecurrentConnectedConv2d(1, 4)
            self.classifier = nn.Linear(4, self.n_classes)

        def _init_parameters(self):
            for parameter in self.parameters():
                nn.init.constant_(parameter, self.fill)

    model = Twice(0.5, dt=3.0)
    assert all((p == 0.5).all() for p in model.parameters())
    assert model.conv.conv.weight.is_contiguous(memory_format=torch.channels_last) and model.conv.dt == 3.0


def test_a_family_with_an_architecture_of_ones_own_runs(x):
    class Custom(DyRCNN):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)

        def _define_architecture(self):
            self.layer_names = ["V1"]
            self.V1 = RecurrentConnectedConv2d(self.n_channels, 4, recurrence_type=self.args.recurrence_type)
            self.classifier = nn.Linear(4, self.n_classes)

    model = Custom(input_dims=(T, 1, 8, 8), n_classes=K, recurrence_type="full", max_weight_init=0.5)
    nn.init.normal_(model.V1.recurrence.weight)
    y = model(x)
    assert y.shape == (2, T, K)
    assert torch.equal(y[:, 0], y[:, 2]) and not torch.allclose(y[:, 2], y[:, 3])  # 6 ms of 2 ms each


def test_reset_over_all_modules_ends_and_reaches_every_base():
    reached = []

    class Part(nn.Module):
        def reset(self):
            reached.append("part")

    class First(PerFrame):
        def reset(self):
            reached.append("first")
            for layer in self.modules():
                if hasattr(layer, "reset"):
                    layer.reset()

    class Second(First):
        def reset(self):
            reached.append("second")
            super().reset()

    model = Second()
    model.part = Part()
    model.reset()
    assert sorted(set(reached)) == ["first", "part", "second"] and reached.count("part") == 1
    reached.clear()
    model.reset()
    assert "part" in reached  # again, every time that it is called


def test_a_run_and_its_experiment_hear_one_network(lab):
    name = "tests.base.test_own_methods:AlwaysThree"
    config = lab.config("own", model={"name": name, "args": {"n_timesteps": 3}}, training={"epochs": 1})
    trained = lab.train(config, "own")
    assert trained.status == 0, trained.said
    shown = lab.show(lab.experiment(model_args={}), "own", config=config)
    assert shown.status == 0, shown.said
    table = pd.read_parquet(lab.root / "contrast-experiment" / "performance.parquet")
    assert set(table["guess"]) == {2}
