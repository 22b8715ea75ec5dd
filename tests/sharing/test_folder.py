"""A run as one folder, to and from a hub: what arrives answers as the run does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import dynvision
from dynvision.cli import main
from dynvision.errors import InputError
from dynvision.inference.finished_run import _check_no_code, repository
from dynvision.sharing import export_folder
from dynvision.sharing.folder import is_finished
from tests.lab import Lab
from tests.processes import BIN
from tests.sharing.hub import TOKEN, Hub, running_hub

IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3


def answer(network: Any) -> Any:
    return np.asarray(network.predict(IMAGE).probabilities)


def weights_of(lab: Lab) -> Path:
    return lab.root / "run" / "model.safetensors"


@pytest.fixture(scope="module")
def folder(trained_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run, with a scorecard that was made up."""
    out = tmp_path_factory.mktemp("shared") / "mine"
    card = out.parent / "scorecard.csv"
    rows = [
        "kind,verdict,unit,distance",
        "sign,yes,,",
        "sign,no,,",
        "number,,ms,0.5",
        "number,,ms,0.7",
        "number,,,9",
    ]
    card.write_text("\n".join(rows) + "\n")
    predictor = dynvision.load(weights_of(trained_lab), device="cpu")
    export_folder(predictor, weights_of(trained_lab), out, card, "mit", ())
    return out


def test_programs_are_in_the_folder_and_on_the_card(trained_lab: Lab, tmp_path: Path) -> None:
    predictor = dynvision.load(weights_of(trained_lab), device="cpu")
    out = tmp_path / "mine"
    made = export_folder(predictor, weights_of(trained_lab), out, forms=("torch-export",))
    names = [program.path.name for program in made.programs]
    assert "trial.pt2" in names
    text = (out / "README.md").read_text()
    assert all((out / name).is_file() and f"`{name}`" in text for name in names)
    assert len(names) + len(made.left_out) == 2
    assert ("start.safetensors" in text) == (out / "start.safetensors").is_file() == ("step.pt2" in names)


OWN = """
from torch import nn
from dynvision.base import BaseModel
from dynvision.model_components import EulerStep


class Mine(BaseModel):
    def _define_architecture(self):
        self.layer_names, self.layer_operations = ["V1"], ["layer", "tstep", "nonlin", "record", "delay"]
        self.V1, self.nonlin = nn.Conv2d(self.n_channels, 4, 3), nn.ReLU()
        self.tstep = EulerStep(dt=self.dt, tau=self.tau)
        self.classifier = nn.Linear(4, self.n_classes)
"""


def test_a_model_of_ones_own_with_default_arguments_is_exported(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab.root / "my_network.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(lab.root))
    own = lab.config(model={"name": "my_network:Mine", "args": {"n_timesteps": 3}})
    assert lab.train(own).status == 0
    predictor = dynvision.load(weights_of(lab), device="cpu")

    def not_possible(*_: object) -> None:
        raise InputError("no program")

    monkeypatch.setattr("dynvision.sharing.folder.export_run", not_possible)
    made = export_folder(predictor, weights_of(lab), lab.root / "mine")
    assert made.left_out == ("no program",)  # once, though two forms have two parts each
    assert "with steps of 2 ms" in (lab.root / "mine" / "README.md").read_text()


def test_the_folder_answers_as_the_run_does(trained_lab: Lab, folder: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(folder, tmp_path / "of a colleague")
    assert np.array_equal(answer(dynvision.load(elsewhere)), answer(dynvision.load(weights_of(trained_lab))))


def test_the_card_says_what_the_files_say(trained_lab: Lab, folder: Path) -> None:
    _, head, text = (folder / "README.md").read_text().split("---\n", 2)
    front = yaml.safe_load(head)
    tested = json.loads((weights_of(trained_lab).parent / "test.json").read_text())
    (result,) = front["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == tested["test_accuracy"]
    assert (front["license"], front["datasets"], front["library_name"]) == (
        "mit",
        ["small digits"],
        "dynvision",
    )
    assert f"{100 * tested['test_accuracy']:.1f} % of {tested['n_images']} test images" in text
    assert "1 of 2 sign tests as in cortex; times differ by 0.60 octaves in the median (2 times)" in text
    assert "3 classes, 8 x 8 px" in text and "digit 0, digit 1, digit 2" in text
    short = json.loads((folder / "config.json").read_text())
    assert f"# {short['run_id']}\n" in text and short["class_names"] == ["digit 0", "digit 1", "digit 2"]


def test_the_line_on_the_card_works(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.chdir(folder.parent)
    Image.fromarray(IMAGE).save("image.png")
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(compile(code, "card", "exec"), {})


def test_an_export_that_does_not_end_has_no_card(
    trained_lab: Lab, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(folder, tmp_path / "mine")
    assert is_finished(out)
    predictor = dynvision.load(weights_of(trained_lab), device="cpu")
    other = dynvision.load(weights_of(trained_lab), device="cpu")
    torch.nn.init.normal_(next(other.model.parameters()))
    monkeypatch.setattr("dynvision.sharing.folder.load_run", lambda *_: other)
    with pytest.raises(InputError, match="does not answer as"):
        export_folder(predictor, weights_of(trained_lab), out, forms=())
    assert not is_finished(out)


def test_the_run_is_not_overwritten(trained_lab: Lab) -> None:
    predictor = dynvision.load(weights_of(trained_lab), device="cpu")
    with pytest.raises(InputError, match="is the folder of the run"):
        export_folder(predictor, weights_of(trained_lab), weights_of(trained_lab).parent, forms=())


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


def dynvision_at(
    hub: Hub, home: Path, *arguments: object, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    """Run a command that knows no hub but this one; with a home of its own, so that nothing is in a cache."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(home),
        "HF_TOKEN": token,
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "*",
    }
    command = [str(BIN / "dynvision"), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_pushed_and_pulled(hub: Hub, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    pushed = dynvision_at(hub, tmp_path / "me", "share", folder, "--to", "me/mine")
    assert pushed.returncode == 0, pushed.stderr
    assert "dynvision.load('hub:me/mine')" in pushed.stdout
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert hub.repositories["me/mine"] == files
    from PIL import Image

    Image.fromarray(IMAGE).save(tmp_path / "image.png")
    output = tmp_path / "answer.json"
    pulled = dynvision_at(
        hub, tmp_path / "you", "predict", "hub:me/mine", tmp_path / "image.png", "--output", output, token=""
    )
    assert pulled.returncode == 0, pulled.stderr
    wanted = dynvision.load(folder).predict(IMAGE)
    assert wanted.class_name in pulled.stdout + (output.read_text() if output.exists() else "")
    assert any("resolve" in asked for asked in hub.asked)
    n_asked = len([asked for asked in hub.asked if asked.startswith("GET") and "resolve" in asked])
    assert n_asked == 4  # configuration, weights, card and test; no program, which could run anything


@pytest.mark.parametrize(("command", "name"), [("export", "notes.txt"), ("brainscore", "model.py")])
def test_a_folder_of_something_else_is_kept(
    trained_lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    weights = trained_lab.root / "run" / "model.safetensors"
    assert main([command, str(weights), "--output", str(tmp_path)]) == 2
    assert f"holds other files ({name}); give a new or an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert main([command, str(weights), "--output", str(tmp_path / name)]) == 2
    assert "is a file; give a folder" in capsys.readouterr().err
    assert (tmp_path / name).read_text() == "mine"


def test_a_readme_of_something_else_is_kept(
    trained_lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text("mine")
    weights = trained_lab.root / "run" / "model.safetensors"
    assert main(["export", str(weights), "--output", str(tmp_path)]) == 2
    assert "has a README.md that is of no exported run" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_hub_that_cannot_be_reached_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    nowhere = dynvision_at(Hub("http://127.0.0.1:9"), tmp_path, "share", folder, "--to", "me/mine")
    assert nowhere.returncode == 2
    assert "me/mine was not pushed" in nowhere.stderr and "Traceback" not in nowhere.stderr


def test_what_a_hub_refuses_is_one_sentence(hub: Hub, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    refused = dynvision_at(hub, tmp_path, "share", folder, "--to", "me/mine", token="hf_other")
    assert refused.returncode == 2
    assert refused.stderr.strip().endswith("log in with 'hf auth login', or set HF_TOKEN")
    absent = dynvision_at(hub, tmp_path, "predict", "hub:me/other", tmp_path / "x.png", token="")
    assert absent.returncode == 2
    assert "there is no hub:me/other, or it is private" in absent.stderr
    assert len(absent.stderr.strip().splitlines()) == 1
    assert hub.repositories == {}


def test_names_of_repositories(capsys: pytest.CaptureFixture[str]) -> None:
    assert repository("me/mine-2.0") == "me/mine-2.0"
    assert main(["share", "anything", "--to", "mine"]) == 2
    assert "'mine' is no repository of the hub; write user/name" in capsys.readouterr().err
    for name in ("me/a--b", "me/a..b", "-me/mine", "me/mine.git", f"me/{'x' * 100}"):
        assert main(["predict", f"hub:{name}", "x.png"]) == 2
        assert f"{name!r} is no repository of the hub: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "frozen", [{"plugins": ["evil.py"]}, {"model": {"name": "evil:Model", "args": {}}}], ids=str
)
def test_a_repository_runs_no_code(tmp_path: Path, frozen: dict[str, Any]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(frozen))
    with pytest.raises(InputError, match="needs code of its own .evil"):
        _check_no_code("me/mine", path)
