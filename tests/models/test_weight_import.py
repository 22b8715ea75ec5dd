"""Published checkpoints: every form in which they come, and everything that may be wrong with them."""

from __future__ import annotations

import pickle

import pytest
import torch
import yaml

from dynvision.cli import main
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.errors import InputError
from dynvision.models import create
from dynvision.models.build import build_model
from dynvision.models.weight_import import import_weights
from dynvision.models.weights import load_weights, read_weights


@pytest.fixture(scope="module")
def published():
    """A state dict in the layout of torchvision, with one channel and five classes, and its outputs for an image."""
    torch.manual_seed(1)
    model = create("ResNet18", input_dims=(1, 1, 32, 32), n_classes=5).eval()
    image = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        return model.state_dict(), image, model(image)[:, 0]


FORMS = {
    "plain": lambda state: state,
    "data-parallel": lambda state: {"state_dict": {f"module.{n}": t for n, t in state.items()}, "epoch": 3},
    "without counters": lambda state: {n: t for n, t in state.items() if "num_batches" not in n},
    "compiled": lambda state: {"model": {f"_orig_mod.{n}": t for n, t in state.items()}},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_published_outputs(form, published, tmp_path):
    state, image, expected = published
    path = tmp_path / "resnet18.pth"
    torch.save(FORMS[form](state), path)
    imported = import_weights(path, "ResNet18", {"n_timesteps": 1}, 32)
    assert (imported.model.n_channels, imported.model.n_classes) == (1, 5)
    assert imported.left_out == []
    assert len(imported.mapped) == len(FORMS["without counters"](state)) + 20 * (form != "without counters")
    with torch.no_grad():
        assert torch.equal(imported.model.eval()(image)[:, 0], expected)


def test_the_command_writes_weights_and_the_configuration_that_trains_on(published, tmp_path, capsys):
    state, image, expected = published
    source, output = tmp_path / "resnet18.pth", tmp_path / "mine" / "resnet18.safetensors"
    torch.save(state, source)
    arguments = ["weights", "import", str(source), "--model", "ResNet18", "--resolution", "32"]
    assert main([*arguments, "--output", str(output), "--model-args", "{tsteps: 2}"]) == 0
    printed = capsys.readouterr().out
    assert "layer1.0.conv1.weight" in printed and "64 x 64 x 3 x 3" in printed and "5 classes" in printed
    config = yaml.safe_load(output.with_suffix(".yaml").read_text())
    assert config["training"]["init_with_pretrained"] == str(output)
    run = validate(
        RunConfig, {"model": config["model"], "data": config["data"], "training": config["training"]}, ""
    )
    assert run.model.args["n_timesteps"] == 2
    tensors, header = read_weights(output)
    assert header["source"] == "resnet18.pth" and len(header["source_sha256"]) == 64
    model = build_model(run, (1, 32, 32), 5)
    load_weights(model, tensors, output)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(image)[:, 1], expected)


def test_a_small_image_network_from_its_common_checkpoint(tmp_path):
    torch.manual_seed(2)
    model = create("ResNet20", input_dims=(1, 3, 32, 32), n_classes=10)
    state = {f"module.{n.replace('fc.', 'linear.')}": t for n, t in model.state_dict().items()}
    torch.save({"state_dict": state, "best_prec1": 91.7}, tmp_path / "resnet20.th")
    imported = import_weights(tmp_path / "resnet20.th", "ResNet20")
    assert ("linear.weight", "fc.weight", (10, 64)) in imported.mapped
    assert imported.config["data"] == {"n_channels": 3, "resolution": 32}
    assert torch.equal(imported.model.fc.weight, model.fc.weight)


def test_what_does_not_fit_is_in_a_table_and_nothing_is_written(published, tmp_path, capsys):
    state, _, _ = published
    source = tmp_path / "resnet18.pth"
    torch.save({**{n: t for n, t in state.items() if n != "bn1.bias"}, "bn2.bias": state["bn1.bias"],
                "layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)}, source)  # fmt: skip
    assert main(["weights", "import", str(source), "--model", "ResNet18"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"dynvision weights: {source} does not fit ResNet18; nothing is written"
    assert [" ".join(line.split()) for line in lines[1:]] == [
        "weight the model has the file has",
        "missing bn1.bias 64",
        "left over bn2.bias 64",
        "other shape layer1.0.conv1.weight 64 x 64 x 3 x 3 64 x 64 x 1 x 1",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["resnet18.pth"]
    with pytest.raises(InputError, match="missing +addrecurrence_layer1.recurrence.weight"):
        import_weights(source, "ResNet18", {"rctype": "depthwise"})


class Outsider:
    """What only this program knows."""


def test_a_pickle_of_more_than_tensors_is_refused(published, tmp_path, capsys):
    source = tmp_path / "whole.pth"
    torch.save({"state_dict": published[0], "config": Outsider()}, source)
    assert main(["weights", "import", str(source), "--model", "ResNet18"]) == 2
    message = capsys.readouterr().err
    assert "is a pickle of more than tensors, which would run code" in message and message.count("\n") == 1
    source.write_bytes(pickle.dumps(Outsider()))
    with pytest.raises(InputError, match="pickle of more than tensors|cannot be read"):
        import_weights(source, "ResNet18")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds no weights by name"),
        ([torch.zeros(1)], "holds no weights by name"),
        ({"weight": torch.zeros(1), "epoch": 3}, r"holds more than weights \(epoch\)"),
    ],
)
def test_what_is_no_checkpoint_is_one_sentence(content, message, tmp_path):
    path = tmp_path / "some.pth"
    torch.save(content, path)
    with pytest.raises(InputError, match=message) as error:
        import_weights(path, "ResNet18")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="there is no checkpoint"):
        import_weights(tmp_path / "other.pth", "ResNet18")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "ResNet19"], "did you mean"),
        (["--model", "ResNet18", "--model-args", "tsteps=3"], "must hold keys and values"),
        (["--model", "ResNet18", "--model-args", "{tstep: 3}"], "did you mean"),
        (["--model", "ResNet18", "--output", "weights.pt"], "must end in .safetensors"),
    ],
)
def test_a_wrong_option_is_one_sentence(arguments, message, published, tmp_path, capsys):
    torch.save(published[0], tmp_path / "resnet18.pth")
    assert main(["weights", "import", str(tmp_path / "resnet18.pth"), *arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


def test_safetensors_are_read_too_and_never_replaced(published, tmp_path, capsys):
    from safetensors.torch import save_file

    source = tmp_path / "resnet18.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in published[0].items()}, source)
    assert main(["weights", "import", str(source), "--model", "ResNet18"]) == 2
    assert "name another file" in capsys.readouterr().err
    assert (
        main(
            [
                "weights",
                "import",
                str(source),
                "--model",
                "ResNet18",
                "--output",
                str(tmp_path / "a.safetensors"),
            ]
        )
        == 0
    )


def test_what_a_file_of_dynvision_0_1_does_not_tell_is_printed(tmp_path, capsys):
    """Delays, dt, targets and the merge of the feedback are in no state dict."""
    state = create(
        "DyRCNNx2", input_dims=(4, 1, 28, 28), n_classes=10, feedback="multiplicative"
    ).state_dict()
    names = {name: name.replace("classifier.", "classifier.2.") for name in state}
    names |= {
        name: name.replace(".recurrence.", ".recurrence.conv.") for name in state if ".recurrence." in name
    }
    source = tmp_path / "trained.pt"
    torch.save({names[name]: tensor for name, tensor in state.items()}, source)
    command = [
        "weights",
        "import",
        str(source),
        "--model",
        "DyRCNNx2",
        "--output",
        str(tmp_path / "a.safetensors"),
    ]
    assert main(command) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("assumed"))
    assert line == (
        "assumed, since the file does not state them: dt 2.0 ms, tau 5.0 ms, t_feedforward 0.0 ms, "
        "recurrence_target output, "
        "recurrence_merge additive, t_recurrence 6.0 ms, t_skip 0.0 ms, t_feedback 30.0 ms, feedback additive"
    )
    chosen = (
        "{dt: 1, tau: 9, tff: 0, rctarget: output, rcmode: additive, trc: 6, tsk: 0, tfb: 30, feedback: mul}"
    )
    command += ["--model-args", chosen]
    assert main(command) == 0
    assert "assumed" not in capsys.readouterr().out
