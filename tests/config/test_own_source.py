"""The source of a model of one's own is part of what a run is."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from dynvision.config.identity import source_hash
from dynvision.config.run import read_run_config, run_of, thaw
from dynvision.config.yaml_text import to_yaml
from dynvision.errors import InputError
from dynvision.runs import plan_workflow
from tests.lab import Lab

NET = """\
import my_layers
from torch import nn
from dynvision.base import BaseModel


class MyNet(BaseModel):
    def _define_architecture(self):
        self.layer_names = ["A"]
        self.layer_operations = ["layer", "record"]
        self.A = nn.Conv2d(self.n_channels, my_layers.WIDTH, 3)  # the only one
        self.classifier = nn.Linear(my_layers.WIDTH, self.n_classes)
"""
MODEL = "my_source_net:MyNet"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_source_net.py").write_text(NET)
    (tmp_path / "my_layers.py").write_text("WIDTH = 4\n")
    (tmp_path / "another.py").write_text("N = 1\n")
    return tmp_path


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_edit_changes_the_hash(here: Path) -> None:
    hashes = [source_hash(MODEL)]
    for name, old, new in [
        ("my_source_net.py", "3)", "5)"),
        ("my_layers.py", "4", "6"),
        ("my_source_net.py", "import my_layers", "import my_layers, another"),
        ("another.py", "1", "2"),
    ]:
        edited(here / name, old, new)
        hashes.append(source_hash(MODEL))
    assert len({*hashes, ""}) == 6
    edited(here / "another.py", "2", "1")
    assert source_hash(MODEL) == hashes[3]


def test_a_text_is_parsed_once_however_often_it_is_asked_for(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "another.py").write_text(f"N = {id(here)}\n")  # no text that was parsed before
    edited(here / "my_source_net.py", "import my_layers", "import my_layers, another")
    parsed: list[bytes] = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda text: parsed.append(text) or parse(text))
    assert len({source_hash(MODEL) for _ in range(5)}) == 1
    assert 0 < len(parsed) <= 3 and len(set(parsed)) == len(parsed)


def test_what_changes_nothing_changes_no_hash(here: Path) -> None:
    before = source_hash(MODEL)
    edited(here / "my_source_net.py", "  # the only one\n", "  # it is one\n\n")
    edited(here / "my_source_net.py", "import my_layers\n", "import my_layers   \n")
    (here / "unrelated.py").write_text("N = 1\n")
    assert source_hash(MODEL) == before


def test_a_hash_sign_in_text_is_no_comment(here: Path) -> None:
    (here / "my_layers.py").write_text('WIDTH = 4\nCOLOUR = "#000000"\n')
    before = source_hash(MODEL)
    edited(here / "my_layers.py", "#000000", "#ffffff")
    assert source_hash(MODEL) != before


def test_a_package_counts_with_the_modules_that_it_imports(here: Path) -> None:
    package = here / "my_source_package"
    (package / "parts").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "nets.py": "from .parts import layers\nfrom .parts.sizes import SIZE\nclass Net: pass\n",
        "parts/__init__.py": "",
        "parts/layers.py": "N = 1\n",
        "parts/sizes.py": "from .. import shared\nSIZE = 1\n",
        "shared.py": "N = 1\n",
        "other.py": "N = 1\n",
    }.items():
        (package / name).write_text(text)
    hashes = {source_hash("my_source_package.nets:Net")}
    for name in ("parts/layers.py", "parts/sizes.py", "shared.py", "__init__.py", "parts/__init__.py"):
        (package / name).write_text((package / name).read_text() + "M = 2\n")
        hashes.add(source_hash("my_source_package.nets:Net"))
    assert len(hashes) == 6
    (package / "other.py").write_text("N = 2\n")
    assert source_hash("my_source_package.nets:Net") in hashes


def test_models_of_dynvision_have_none() -> None:
    assert source_hash("DyRCNNx4") == source_hash("CorNetRT") == ""


def test_an_edited_class_is_another_run(here: Path, config_dir: str) -> None:
    def planned(model: str) -> str:
        plan = plan_workflow(
            config_dir, {"model_name": model, "data_name": "digits", "experiment": "contrast"}
        )
        (run_id,) = plan.runs
        frozen = run_of(json.loads(plan.run_json(run_id)))
        assert frozen.run_id == run_id and thaw(frozen.frozen()).run_id == run_id
        assert thaw(frozen.frozen()).source == frozen.source == plan.runs[run_id].source
        return str(run_id)

    before, shipped = planned(MODEL), planned("DyRCNNx4")
    edited(here / "my_layers.py", "4", "6")
    assert planned(MODEL) != before and planned("DyRCNNx4") == shipped
    edited(here / "my_layers.py", "6", "4")
    assert planned(MODEL) == before


def test_a_run_of_before_keeps_its_id(here: Path) -> None:
    """It was frozen without a source."""
    run = run_of({"model": {"name": MODEL}})
    assert "model_source" not in run.frozen()
    assert thaw(run.frozen()).run_id == run.run_id


def test_a_source_that_is_edited_after_planning_stops_the_job(
    lab: Lab, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {**lab.sections(), "model": {"name": MODEL, "args": {"n_timesteps": 2}}}
    config = lab.root / "own.yaml"
    config.write_text(to_yaml(run_of({**sections, "model_source": source_hash(MODEL)})))
    assert lab.train(config, "first").status == 0
    edited(here / "my_layers.py", "4", "6")
    run_id = read_run_config(config).run_id
    for outcome in (lab.train(config, "second"), lab.show(lab.experiment(), run="first", config=config)):
        assert outcome.status == 2
        assert f"the source of {MODEL} is not that of {run_id} any more" in outcome.said
        assert "Traceback" not in outcome.said


def test_a_job_of_a_run_that_is_planned_no_more_is_one_sentence(here: Path, config_dir: str) -> None:
    plan = plan_workflow(config_dir, {"model_name": MODEL, "experiment": "contrast"})
    with pytest.raises(
        InputError, match="is no run of this configuration; if its model's source has been edited"
    ):
        plan.data_folder("MyNet_digits_s1_00000000")
