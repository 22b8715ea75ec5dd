"""Controls of recurrent networks: width and depth of DyRCNN, and matched parameters and multiplications."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.workflow import load_workflow_config
from dynvision.config.yaml_text import to_yaml
from dynvision.errors import InputError
from dynvision.models import create
from dynvision.models.controls import control_runs, workflow_of
from dynvision.models.footprint import trial_macs
from dynvision.runs.expansion import expand_runs

IMAGE, N_CLASSES = (1, 16, 16), 10
ARGS = {"n_timesteps": 4, "recurrence_type": "full", "feedback": "additive", "divisive_normalization": True}
RUN = validate(
    RunConfig, {"model": {"name": "DyRCNNx4", "args": ARGS}, "seed": 3, "training": {"epochs": 2}}, ""
)


def n_parameters(**args) -> int:
    model = create(
        "DyRCNNx2", input_dims=(2, 1, 16, 16), n_classes=4, skip=False, recurrence_type="none", **args
    )
    return sum(parameter.numel() for parameter in model.parameters())


def convolution(inputs: int, outputs: int, kernel: int = 3) -> int:
    return outputs * (inputs * kernel**2 + 1)


def test_width_scales_channels_and_extra_layers_add_convolutions():
    """DyRCNNx2 has 36 and 64 channels."""
    own = convolution(1, 36) + convolution(36, 64) + 4 * 65
    assert n_parameters() == own
    assert n_parameters(width=0.5) == convolution(1, 18) + convolution(18, 32) + 4 * 33
    assert n_parameters(extra_layers=1) == own + convolution(36, 36) + convolution(64, 64)


def test_further_layers_come_before_the_area_and_keep_its_stride_and_its_connections():
    model = create(
        "DyRCNNx4", input_dims=(3, *IMAGE), n_classes=4, extra_layers=2, feedback="additive", width=0.25
    )
    assert model.layer_names[:4] == ["V1_1", "V1_2", "V1", "V2_1"] and len(model.layer_names) == 12
    assert (model.IT_1.conv.stride, model.IT.conv.stride) == ((2, 2), (1, 1))
    plain = create("DyRCNNx4", input_dims=(3, *IMAGE), n_classes=4, feedback="additive", width=0.25)
    kept = {name for name in plain.state_dict() if name.startswith(("addskip", "addfeedback", "classifier"))}
    assert kept and all(model.state_dict()[name].shape == plain.state_dict()[name].shape for name in kept)
    assert model(torch.randn(2, *IMAGE)).isfinite().all()


@pytest.fixture(scope="module")
def controls():
    return control_runs(RUN, IMAGE, N_CLASSES)


def test_counts_of_the_controls_are_those_of_the_network(controls):
    """Counted anew, on a CPU, of the networks that are built from the runs."""
    built = {
        name: create(run.model.name, input_dims=(4, *IMAGE), n_classes=N_CLASSES, **run.model.args)
        for name, run in {"network": RUN, **{name: control.run for name, control in controls.items()}}.items()
    }
    parameters = {name: sum(p.numel() for p in model.parameters()) for name, model in built.items()}
    assert parameters["parameters"] == pytest.approx(parameters["network"], rel=0.02)
    assert controls["parameters"].control == parameters["parameters"]
    macs = {name: trial_macs(model.eval(), torch.zeros(1, *IMAGE)) for name, model in built.items()}
    assert macs["computation"] == pytest.approx(macs["network"], rel=0.05)
    assert macs["parameters"] != pytest.approx(
        macs["network"], rel=0.05
    )  # a control of one is none of the other
    assert not any("recurrence" in name or "feedback" in name for name in built["parameters"].state_dict())
    assert len(built["computation"].layer_names) == 2 * len(built["network"].layer_names)


def test_a_control_differs_in_its_architecture_alone(controls):
    for control in controls.values():
        assert (control.run.seed, control.run.data, control.run.training) == (
            RUN.seed,
            RUN.data,
            RUN.training,
        )
        differs = {name for name, value in control.run.model.args.items() if value != RUN.model.args[name]}
        assert differs <= {"recurrence_type", "feedback", "divisive_normalization", "width", "extra_layers"}


def test_a_feedforward_network_is_its_own_control_of_parameters():
    run = validate(RunConfig, {"model": {"name": "DyRCNNx4", "args": {"recurrence_type": "none"}}}, "")
    assert control_runs(run, IMAGE, N_CLASSES)["parameters"].run.run_id == run.run_id


def test_the_configuration_that_is_written_trains_the_controls(controls, tmp_path):
    path = tmp_path / "controls.yaml"
    path.write_text(to_yaml(workflow_of([control.run for control in controls.values()])))
    config = Path(__file__).parents[2] / "config"
    planned = expand_runs(load_workflow_config(config, {}, [path]))
    assert list(planned) == [control.run.run_id for control in controls.values()]


def test_other_models_have_no_controls():
    run = validate(RunConfig, {"model": {"name": "CORnetRT"}}, "")
    with pytest.raises(InputError, match="controls are made of DyRCNN models.*CORnetRT is none"):
        control_runs(run, (3, 64, 64), 10)
