"""A quantity that a model and its parts share is one: dt, the number of classes, the side of a kernel."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dynvision.base import BaseModel, CoreModel
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.errors import InputError
from dynvision.model_components import (
    Conv2d,
    DivisiveNormalization,
    EulerStep,
    ExponentialEulerStep,
    Feedback,
    InputAdaptation,
    IntrinsicSuppression,
    LiquidStep,
    Pathway,
    RecurrentConnectedConv2d,
    RecurrentConnection,
    Retina,
    RungeKuttaStep,
    Skip,
)
from dynvision.models import DyRCNNx2, create, list_models
from dynvision.models.build import build_model
from tests.base.registered import SLOW

UNIT = (1, 1, 1)


class Parts(CoreModel):
    """Two layers of one unit, with the components that are given; each may say its dt."""

    def __init__(self, parts, **kwargs):
        self.parts = parts
        super().__init__(n_classes=1, **kwargs)

    def _define_architecture(self):
        self.layer_names = ["A", "B"]
        for layer in self.layer_names:
            self.add_module(layer, nn.Conv2d(1, 1, 1))
        for name, part in self.parts.items():
            self.add_module(name, part)
        self.layer_operations = (
            "adapt", "layer", "addskip", "addfeedback", "addrecurrence", "suppress", "tstep", "norm", "record", "delay"
        )  # fmt: skip

    optional_operations = ("adapt", "addskip", "addfeedback", "addrecurrence", "suppress", "tstep", "norm")


MAKERS = {
    "tstep_A": lambda **dt: EulerStep(tau=8.0, **dt),
    "tstep": lambda **dt: EulerStep(tau=8.0, train_tau=True, **dt),
    "tstep_B": lambda **dt: ExponentialEulerStep(tau=8.0, **dt),
    "tstep ": lambda **dt: RungeKuttaStep(tau=8.0, **dt),
    "tstep  ": lambda **dt: LiquidStep(tau=8.0, **dt),
    "addskip_B": lambda **dt: Skip("A", 1, 1, (1, 1), t_connection=4.0, **dt),
    "addskip_B ": lambda **dt: Pathway("A", nn.Identity(), t_connection=4.0, **dt),
    "addfeedback_A": lambda **dt: Feedback("B", 1, 1, (1, 1), t_connection=4.0, **dt),
    "addrecurrence_A": lambda **dt: RecurrentConnection(1, t_recurrence=4.0, max_weight_init=0.5, **dt),
    "A": lambda **dt: RecurrentConnectedConv2d(1, 1, 1, t_recurrence=4.0, max_weight_init=0.5, **dt),
    "adapt_A": lambda **dt: InputAdaptation(2.0, 8.0, **dt),
    "suppress_A": lambda **dt: IntrinsicSuppression(0.5, 8.0, **dt),
    "norm_A": lambda **dt: DivisiveNormalization(8.0, **dt),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dt", [0.5, 4.0])
def test_a_component_without_dt_is_one_with_the_dt_of_its_model(name, dt):
    models = []
    for given in ({}, {"dt": dt}):
        torch.manual_seed(0)
        models.append(Parts({name.strip(): MAKERS[name](**given)}, input_dims=(12, *UNIT), dt=dt).double())
    x = torch.rand(2, 12, *UNIT, dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(models[0](x), models[1](x))
    other = MAKERS[name](dt=2.0)
    with pytest.raises(
        InputError, match=rf"{name.strip()} \(.*\) has dt=2 ms and its model has dt={dt:g} ms; leave"
    ):
        Parts({name.strip(): other}, input_dims=(12, *UNIT), dt=dt)


@pytest.mark.parametrize("dt", [1.0, 2.0, 3.0])
def test_recurrence_begins_after_its_duration(dt):
    model = Parts({"A": RecurrentConnectedConv2d(1, 1, 1, t_recurrence=6.0)}, input_dims=(12, *UNIT), dt=dt)
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    y = model(torch.ones(1, *UNIT))[0, :, 0]
    begins = int((y != y[0]).nonzero()[0])
    assert begins * dt == 6.0


def test_a_component_that_comes_later_follows_too():
    model = Parts({}, input_dims=(12, *UNIT), dt=1.0)
    model.tstep_A = EulerStep(tau=4.0)
    model(torch.ones(1, *UNIT))
    assert model.tstep_A.dt == 1.0
    model.tstep_A = EulerStep(dt=2.0, tau=4.0)
    with pytest.raises(InputError, match=r"tstep_A \(EulerStep\) has dt=2 ms and its model has dt=1 ms"):
        model(torch.ones(1, *UNIT))


def test_what_is_not_possible_with_the_dt_of_the_model():
    for part, words in (
        ({"tstep": EulerStep(tau=3.0)}, "dt=4 ms is larger than tau=3 ms"),
        (
            {"A": RecurrentConnectedConv2d(1, 1, 1, t_recurrence=6.0)},
            "t_recurrence=6 ms is not a multiple of dt=4 ms",
        ),
        ({"addfeedback_A": Feedback("B", 1, 1, (1, 1), t_connection=2.0)}, "t_feedback=2 ms is too small"),
        (
            {"norm_A": DivisiveNormalization(3.0)},
            "tau_divisive_normalization=3 ms must not be smaller than dt=4",
        ),
        ({"adapt_A": InputAdaptation(1.0, 3.0)}, "tau_input_adaptation=3 ms must not be smaller than dt=4"),
        (
            {"suppress_A": IntrinsicSuppression(1.0, 3.0)},
            "tau_intrinsic_suppression=3 ms must not be smaller",
        ),
    ):
        with pytest.raises(InputError, match=words):
            Parts(part, input_dims=(12, *UNIT), dt=4.0)
    without = RecurrentConnectedConv2d(1, 1, 1, recurrence_type="none")  # its delay means nothing
    Parts({"A": without}, input_dims=(12, *UNIT), dt=4.0)


def test_a_learned_time_constant_starts_where_it_was_given_in_every_dt():
    for dt in (0.5, 2.0, 6.0):
        model = Parts({"tstep": EulerStep(tau=8.0, train_tau=True)}, input_dims=(12, *UNIT), dt=dt)
        assert model.tstep.tau.item() == pytest.approx(8.0, rel=1e-6)


# --- classes ---------------------------------------------------------------------------------------------------------


class Own(BaseModel):
    def _define_architecture(self):
        self.layer_names = ["conv"]
        self.conv = nn.Conv2d(1, 10, 3)
        if self.head:
            self.classifier = nn.Linear(10, self.n_classes)

    def __init__(self, head=True, **kwargs):
        self.head = head
        super().__init__(input_dims=(2, 1, 8, 8), **kwargs)


class InRun(BaseModel):
    def _define_architecture(self):
        self.layer_names = ["conv"]
        self.conv = nn.Conv2d(1, self.n_classes, 3)
        self.classifier = nn.AdaptiveAvgPool2d(1)


@pytest.mark.parametrize("name", [name for name in list_models() if name not in SLOW])
def test_no_shipped_model_guesses_its_classes(name):
    with pytest.raises(InputError, match=rf"{name} needs n_classes, .*{name}\(n_classes=10, \.\.\.\)"):
        create(name, input_dims=(2, 3, 64, 64))


def test_an_architecture_that_asks_for_classes_needs_them_and_another_tells_them():
    with pytest.raises(InputError, match="Own needs n_classes"):
        Own()
    assert Own(n_classes=7)(torch.zeros(1, 1, 8, 8)).shape == (1, 2, 7)
    headless = Own(head=False)
    assert headless(torch.zeros(1, 1, 8, 8)).shape == (1, 2, 360)
    with pytest.raises(InputError, match="Own needs n_classes"):
        _ = headless.n_classes
    headless.classifier = nn.Linear(10, 3)
    assert headless.n_classes == 3
    for given in (0, 10.7, True, "3"):
        with pytest.raises(InputError, match=f"n_classes={given!r} must be a whole number, at least 1"):
            Own(n_classes=given)
    with pytest.raises(InputError, match="n_timesteps=2.5 must be a whole number"):
        Own(n_classes=3, n_timesteps=2.5)
    with pytest.raises(
        InputError, match=r"input_dims=\(2, 3, 8.5, 8\): H=8.5 must be a whole number, at least 1"
    ):
        InRun(n_classes=3, input_dims=(2, 3, 8.5, 8))
    with pytest.raises(InputError, match=r"input_dims=\(8, 8\) must be \(T, C, H, W\)"):
        InRun(n_classes=3, input_dims=(8, 8))


def test_the_read_out_has_as_many_outputs_as_there_are_classes():
    model = Own(head=False, n_classes=10)
    x = torch.zeros(2, 1, 8, 8)
    words = "the read-out has 360 outputs and n_classes=10; .*n_classes=360"
    for run in (
        lambda: model(x),
        lambda: model.step(x, model.initial_state(2)),
        lambda: model.training_step((x, torch.tensor([1, 2])), 0),
    ):
        with pytest.raises(InputError, match=words):
            run()

    class Narrow(Own):
        def _define_architecture(self):
            super()._define_architecture()
            self.classifier = nn.Linear(10, 4)

    with pytest.raises(InputError, match="the read-out has 4 outputs and n_classes=10"):
        Narrow(n_classes=10)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"n_classes": 7}, "model_args.n_classes=7 is no argument of a model in a run: its data sets 10"),
        ({"learning_rate": 0.5}, "its training sets 0.002; leave it out of model_args"),
        ({"seed": 3}, "its run sets 1"),
    ],
)
def test_in_a_run_the_data_and_the_training_decide(argument, words):
    name = "tests.base.test_one_quantity:InRun"
    run = validate(RunConfig, {"model": {"name": name}}, "")
    assert build_model(run, (1, 8, 8), 10).n_classes == 10
    run = validate(RunConfig, {"model": {"name": name, "args": argument}}, "")
    with pytest.raises(InputError, match=words):
        build_model(run, (1, 8, 8), 10)


# --- kernels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"kernel_size": (3, 5)},
            r"kernel_size=\(3, 5\) is one value for each of 2 stages, and this layer has 1",
        ),
        ({"stride": (2, 1)}, r"stride=\(2, 1\) is one value for each of 2 stages, and this layer has 1"),
        (
            {"bias": (True, False)},
            r"bias=\(True, False\) is one value for each of 2 stages, and this layer has 1",
        ),
        ({"kernel_size": (3, 5, 7), "mid_channels": 2}, "each of 3 stages, and this layer has 2"),
        ({"kernel_size": 4}, "recurrence_kernel_size=4 must be one odd number above 0"),
        ({"kernel_size": 0}, "kernel_size=0 must be one number above 0"),
        ({"recurrence_kernel_size": (3, 5)}, r"recurrence_kernel_size=\(3, 5\) must be one odd number"),
    ],
)
def test_kernels_that_a_recurrent_convolution_cannot_have(arguments, words):
    with pytest.raises(InputError, match=words):
        RecurrentConnectedConv2d(2, 2, **arguments)


def test_kernels_of_two_stages_and_of_other_components():
    layer = RecurrentConnectedConv2d(2, 2, (3, 5), (2, 1), mid_channels=4, bias=(True, False))
    assert (layer.conv.kernel_size, layer.conv2.kernel_size) == ((3, 3), (5, 5))
    assert (layer.conv.stride, layer.conv2.stride) == ((2, 2), (1, 1))
    assert (layer.conv.bias is None, layer.conv2.bias is None) == (False, True)
    assert RecurrentConnectedConv2d(2, 2, (5,)).conv.kernel_size == (5, 5)
    for make in (
        lambda: Conv2d(1, 1, (3, 5)),
        lambda: Retina(1, kernel_size=4),
        lambda: RecurrentConnection(2, kernel_size=(3, 5)),
        lambda: RecurrentConnection(2, kernel_size=2),
    ):
        with pytest.raises(InputError, match="must be one"):
            make()
    RecurrentConnection(2, recurrence_type="self", kernel_size=2)  # has no kernel


def test_tau_is_the_same_in_a_class_of_ones_own_and_in_the_workflow():
    shipped = DyRCNNx2(input_dims=(2, 1, 8, 8), n_classes=2)
    own = Own(n_classes=2)
    for name in ("tau", "learning_rate", "scheduler", "learning_rate_factors", "dt", "t_idle"):
        assert getattr(own, name) == getattr(shipped, name)
