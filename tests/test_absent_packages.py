"""The library without what only an extra brings: it imports, answers, and names the extra where one is needed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynvision.cluster import head, machine
from dynvision.errors import InputError
from dynvision.inference import Film
from dynvision.inference.export import _write_onnx
from dynvision.inference.finished_run import repository
from dynvision.recordings import exports, labelled_responses, open_responses, read_nwb, read_recording
from dynvision.runs import ResultPaths
from dynvision.search import Search
from dynvision.sharing.crate import About, write_crate
from dynvision.stimuli.film import count_frames
from dynvision.training import log
from tests.parts import FILES, PACKAGE, part_of

ROOT = PACKAGE.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOT_THE_LIBRARYS = ("dev", "doc")  # what works on the repository, not with it
FASTER = ("ffcv", "numba", "setuptools")  # absent, the same is computed without


def module(requirement: str) -> str:
    """The name to import of a requirement."""
    return re.split(r"[^\w-]", requirement, maxsplit=1)[0].replace("-", "_")


EXTRAS = {
    extra: [module(line) for line in lines]
    for extra, lines in PROJECT["optional-dependencies"].items()
    if extra not in NOT_THE_LIBRARYS
}
OPTIONAL = sorted({name for names in EXTRAS.values() for name in names})

WITHOUT = f"""
import sys
sys.modules.update(dict.fromkeys({OPTIONAL!r}))
import pkgutil
import dynvision
from dynvision.cli import main

for module in pkgutil.walk_packages(dynvision.__path__, "dynvision."):
    try:
        __import__(module.name)
    except ModuleNotFoundError as error:  # only ever imported by what has found the package
        assert error.name.partition(".")[0] in {(*FASTER, "triton", "brainscore_core")!r}, module.name
for arguments in (["models", "DyRCNNx2"], ["runs"], ["predict", "cortical", "image.png", "--device", "cpu"]):
    assert main(arguments) == 0, arguments
main(["--help"])
"""


def test_the_library_needs_neither_the_workflow_nor_a_service() -> None:
    needed = {module(line) for line in PROJECT["dependencies"]}
    assert not needed & set(OPTIONAL)
    assert {"snakemake", "snakemake_executor_plugin_slurm"} == set(EXTRAS["workflow"])
    assert EXTRAS["wandb"] == ["wandb"]


def test_every_module_and_the_commands_without_any_extra(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (32, 32), 120).save(tmp_path / "image.png")
    (tmp_path / "results").mkdir()
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| `DyRCNNx2` |" in done.stdout and "image.png" in done.stdout
    assert "usage: dynvision" in done.stdout and not done.stderr


def made(name: str) -> Path:
    """An empty file in the working directory."""
    Path(name).touch()
    return Path(name)


def train_with_wandb() -> None:
    log._wandb(None, None, Path(), False)  # type: ignore[arg-type]


NEEDED: dict[str, tuple[str, str, Callable[[], Any]]] = {
    "a logger": ("wandb", "wandb", train_with_wandb),
    "a search": ("workflow", "snakemake", lambda: Search(ROOT / "config").run()),
    "drawing values": ("search", "optuna", lambda: Search(ROOT / "config").run()),
    "labels": ("recordings", "xarray", lambda: labelled_responses([[[0.0]]], [0], {}, {})),
    "units": ("recordings", "xarray", lambda: open_responses("units.parquet")),
    "a recording": ("recordings", "h5netcdf", lambda: read_recording(made("a.nc"))),
    "a recording in Zarr": ("recordings", "zarr", lambda: read_recording(made("a.zarr"))),
    "NetCDF": ("recordings", "h5netcdf", lambda: exports.to_netcdf(None, "a.nc")),  # type: ignore[arg-type]
    "Zarr": ("recordings", "zarr", lambda: exports.to_zarr(None, "a.zarr")),  # type: ignore[arg-type]
    "rsatoolbox": ("recordings", "rsatoolbox", lambda: exports.to_temporal_dataset(None)),  # type: ignore[arg-type]
    "RDMs": ("recordings", "rsatoolbox", lambda: exports.to_rdms(None)),  # type: ignore[arg-type]
    "MNE": ("recordings", "mne", lambda: exports.to_evoked(None)),  # type: ignore[arg-type]
    "NWB": ("nwb", "pynwb", lambda: exports.to_nwb(None, "a.nwb")),  # type: ignore[arg-type]
    "a file of NWB": ("nwb", "pynwb", lambda: read_nwb("a.nwb")),
    "ONNX": ("export", "onnxscript", lambda: _write_onnx(None, (), Path())),
    "the hub": ("share", "huggingface_hub", lambda: repository("user/name")),
    "a crate": ("share", "rocrate", lambda: write_crate(ResultPaths(Path()), About("name"))),
    "a film": ("video", "av", lambda: list(Film(made("a.mp4")).frames())),
    "a film in a stimulus": ("video", "av", lambda: count_frames(str(made("b.mp4")))),
}


@pytest.mark.parametrize("what", NEEDED)
def test_what_is_needed_is_one_sentence(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extra, package, call = NEEDED[what]
    assert package in EXTRAS[extra]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"needs {package}; run: pip install 'dynvision\[{extra}\]'"):
        call()


def test_a_head_job_needs_the_workflow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "snakemake", None)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert head.main([]) == 2
    assert "a head job needs snakemake; run: pip install 'dynvision[workflow]'" in capsys.readouterr().err


def test_the_doctor_names_what_the_workflow_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.workflow().startswith("snakemake ")
    monkeypatch.setattr(machine, "_version", lambda name: "")
    assert machine.workflow().startswith("not installed: ")
    monkeypatch.setitem(sys.modules, "snakemake", None)
    assert (
        machine._libraries()["error"]
        == "the head job needs snakemake; run: pip install 'dynvision[workflow]'"
    )


def checked_and_imported(path: Path) -> tuple[set[str], set[str]]:
    """Packages that a file checks for, and those of extras that it imports when it runs."""
    checked: set[str] = set()
    imported: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "check_extra":
            checked.update(
                word.value for a in node.args for word in ast.walk(a) if isinstance(word, ast.Constant)
            )
    return checked, imported & set(OPTIONAL)


def test_no_part_imports_what_it_does_not_check_for() -> None:
    checked: dict[str, set[str]] = {}
    imported: dict[str, set[str]] = {}
    for path in FILES:
        part = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        found = checked_and_imported(path)
        for known, new in zip((checked, imported), found, strict=True):
            known.setdefault(part, set()).update(new)
    assert imported["recordings"] >= {"xarray", "mne", "rsatoolbox", "pynwb"}
    unchecked = {part: names - checked[part] - set(FASTER) for part, names in imported.items()}
    assert not {part: names for part, names in unchecked.items() if names}


def test_the_lock_has_every_extra() -> None:
    """But FFCV's, whose source cannot be read without libraries of the system; its own requirements are named there."""
    script = (ROOT / "scripts" / "update_lock.sh").read_text(encoding="utf-8")
    [listed] = re.findall(r"^extras=\((.*)\)$", script, re.MULTILINE)
    assert set(listed.split()) == set(PROJECT["optional-dependencies"]) - {"ffcv"}
    locked = {
        module(line).lower() for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    }
    assert {name.lower() for name in OPTIONAL} <= locked


def test_conda_brings_what_make_install_brings() -> None:
    """A dependency moved to an extra stays in the environment; names of conda-forge differ for a few."""
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    conda = {name.removesuffix("-base") for name in re.findall(r"^  - ([\w-]+)", text, re.MULTILINE)}
    needed = {re.split(r"[>=<]", line)[0] for line in PROJECT["dependencies"]}
    workflow = {"snakemake", "snakemake-executor-plugin-slurm", "wandb"}
    assert (needed | workflow) - conda - {"torch"} == {"array-api-compat"}
