"""Paths in a configuration: ``~`` and variables are replaced, and what cannot be a folder of results is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dynvision.cli import _parse
from dynvision.cluster.settings import SiteConfig, shell_variables
from dynvision.config.layers import read_layers
from dynvision.config.section import validate
from dynvision.config.workflow import load_workflow_config
from dynvision.errors import InputError
from dynvision.runs import expand_runs, plan_workflow

WRITTEN = ["~/x y", "$PLACE/x", "${PLACE}/x", "/fixed/a${PLACE}"]


def meant(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLACE", str(tmp_path / "place"))
    monkeypatch.delenv("NOWHERE", raising=False)


@pytest.mark.parametrize("written", WRITTEN)
def test_every_path_key_is_expanded(written: str, config_dir: str, tmp_path: Path) -> None:
    folder = f"folder:{written}"
    given: dict[str, Any] = {
        "results_dir": written,
        "data_name": [folder, "digits"],
        "data_defaults": {folder: {"training": {"init_with_pretrained": written}}},
        "groups": {folder: {"few": [0, 1]}},
        "training": {"init_with_pretrained": written},
        "experiments": {"contrast": {"group": {folder: [0, 1]}}},
    }
    (tmp_path / "mine.yaml").write_text(f"{given!r}\n")
    for values, files in ((given, []), ({}, [tmp_path / "mine.yaml"])):
        config = load_workflow_config(config_dir, values, files)
        name = f"folder:{meant(written)}"
        assert config.results_dir == meant(written)
        assert config.data_name == (name, "digits")
        assert name in config.data_defaults and config.groups[name] == {"few": (0, 1)}
        assert config.data_defaults[name]["training"]["init_with_pretrained"] == meant(written)
        assert config.training["init_with_pretrained"] == meant(written)
        assert config.experiments["contrast"].group[name] == (0, 1)  # type: ignore[index]


def test_a_path_that_varies(config_dir: str) -> None:
    sweep = {"training.init_with_pretrained": ["~/a.safetensors"]}
    *_, run = expand_runs(load_workflow_config(config_dir, {"category": sweep})).values()
    assert run.training.init_with_pretrained == meant("~/a.safetensors")


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"results_dir": "$NOWHERE/res"}, "--config: results_dir=$NOWHERE/res"),
        ({"data_name": "folder:${NOWHERE}/x"}, "--config: data_name=${NOWHERE}/x"),
        ({"training": {"init_with_pretrained": "a/$NOWHERE"}}, "--config: training.init_with_pretrained=a/$NOWHERE"),
    ],
)  # fmt: skip
def test_a_variable_that_is_not_set(values: dict[str, Any], key: str, config_dir: str) -> None:
    with pytest.raises(InputError) as caught:
        read_layers(config_dir, values)
    expected = "the environment variable NOWHERE is not set; set it, or write the path out"
    assert str(caught.value) == f"{key}: {expected}"


def test_a_folder_whose_name_has_a_dollar(config_dir: str, tmp_path: Path) -> None:
    (tmp_path / "a$NOWHERE").mkdir()
    given = {"data_name": f"folder:{tmp_path}/a$NOWHERE", "results_dir": f"{tmp_path}/a$NOWHERE"}
    config = load_workflow_config(config_dir, given)
    assert config.data_name == (given["data_name"],) and config.results_dir == given["results_dir"]
    with pytest.raises(InputError, match="there is no user nobody-of-that-name"):
        load_workflow_config(config_dir, {"results_dir": "~nobody-of-that-name/res"})


@pytest.mark.parametrize("name", ["res{run}", "{}", "a}b", "-res", "--", "./-x", "a\nb", "a\tb"])
def test_a_folder_that_commands_cannot_name(name: str, config_dir: str) -> None:
    with pytest.raises(
        InputError, match="results_dir=.* is not possible: braces stand for wildcards"
    ) as caught:
        plan_workflow(config_dir, {"results_dir": name})
    assert "\n" not in str(caught.value)


def test_a_folder_is_named_in_one_way(config_dir: str) -> None:
    for written in ("out/res", "out/res/", "./out//res", "out/./res"):
        assert load_workflow_config(config_dir, {"results_dir": written}).results_dir == "out/res"
    assert load_workflow_config(config_dir, {"results_dir": "a b/-c"}).results_dir == "a b/-c"


def test_the_site_file() -> None:
    site = validate(SiteConfig, {"environment": "~/env.sif", "bind": ["$PLACE"], "account": 42}, "")
    assert site.image == Path(meant("~/env.sif"))
    assert site.bind == (meant("$PLACE"),)
    assert f"environment={meant('~/env.sif')}\npartition=''\naccount=42\n" in shell_variables(site)


def test_options_of_a_command() -> None:
    arguments = ["config", "sync", "--config-dir=~/config"]
    assert _parse(arguments).config_dir == Path(meant("~/config"))
