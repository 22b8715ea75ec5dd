"""The table of ablations: one thing is changed at a time in the network that ships."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from dynvision.config.run import RunConfig, read_run_config
from dynvision.config.section import validate
from dynvision.models.build import build_model
from dynvision.trained import shipped_runs
from scripts import search_cortical


def test_every_ablation_is_another_network_beside_the_one_that_ships(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs: list[str] = []

    def evaluate(
        arguments: dict[str, Any], seed: int, folder: Path, training: Any, *others: Any
    ) -> dict[str, Any]:
        *_, model = others
        values = {
            "model": {"name": model, "args": arguments},
            "training": training,
            "data": {"split_seed": 1},
        }
        run = validate(RunConfig, {**values, "seed": seed}, "")
        build_model(run, (1, 32, 32), 10)
        runs.append(run.run_id)
        of = {"arguments": arguments, "seed": seed, "model": model}
        return {"score": 0.0, "signs": len(runs), "octaves": 0.5, "accuracy": 0.9, **of}

    monkeypatch.setattr(search_cortical, "evaluate", evaluate)
    options = {
        "output": tmp_path,
        "seeds": [1],
        "epochs": 6,
        "splits": ["test"],
        "images": 4,
        "workers": 1,
        "gpus": 1,
    }
    search_cortical.ablate(argparse.Namespace(**options))
    trained, first = list(runs), capsys.readouterr().out
    search_cortical.ablate(argparse.Namespace(**options))
    assert runs == trained, "a network that has its line was trained again"
    assert capsys.readouterr().out == first
    table = first.splitlines()
    assert table[2] == "| none | 1 | 0.5 | 0.9 |" and len(table) == 2 + len(search_cortical.ABLATIONS)
    assert runs[0] == read_run_config(shipped_runs()["cortical"] / "config.yaml").run_id
    assert len(set(runs)) == len(runs)
