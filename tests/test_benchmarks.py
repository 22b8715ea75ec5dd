"""Every benchmark runs, at its smallest, and prints its table."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"
SMALLEST = {
    "engine": "--models DyRCNNx2 --pixels 16 --steps 2 --batch 1 --repeats 1 --precision float32",
    "experiment": "--models DyRCNNx2 --pixels 8 --images 2 --repeats 1",
    "recordings": "--images 5 --layers 2 --areas 1 --times 4",
    "recordings --units": "--n-units 2048 --times 4",
}
SLOW = {
    "train": "--models DyRCNNx2 --pixels 8 --batch 2 --batches 1 --rounds 1",
    "pack": "--models DyRCNNx2 --pixels 8 --batch 2 --batches 1 --epochs 2 --trainings 1",
    "engine": "--cordsnet --pixels 32 --batch 1 --repeats 1 --precision float32 --forward-only",
}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its processes look for its functions
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "arguments"),
    [*SMALLEST.items(), *(pytest.param(*item, marks=pytest.mark.slow) for item in SLOW.items())],
)
def test_a_benchmark_prints_its_table(
    name: str, arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *option = name.split()
    device = [] if name == "recordings" else ["--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [name, *option, *arguments.split(), *device])
    threads = torch.get_num_threads()
    load(name).main()
    assert torch.get_num_threads() == threads
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    header, _, *rows = [line.strip("|").split("|") for line in table]
    assert rows and all(len(row) == len(header) for row in rows)
    for row in rows:
        assert re.search(r"\d", row[-1]) and "nan" not in "".join(row)
