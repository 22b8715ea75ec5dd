"""Chapters of a report on comparisons of several runs with a recording and with observers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dynvision.cli import main
from dynvision.errors import InputError
from dynvision.recordings import labelled_responses, open_responses, to_netcdf
from dynvision.report import write_report
from tests.recordings.made import write_units


@pytest.fixture(scope="module")
def compared(
    folder: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """The results of three runs, each compared with a recording of its layer V1 and with two observers."""
    first, run_ids = folder
    root = tmp_path_factory.mktemp("compared") / "results"
    shutil.copytree(first, root)
    for run_id in run_ids:
        place = root / "experiments" / "contrast" / run_id
        write_units(
            place / "units.parquet", {"V1": (3, 3, 3), "IT": (4, 2, 2)}, [1.0], n_images=8, n_steps=10
        )
    v1 = open_responses(place / "units.parquet", layers=["V1"]).load()
    late = np.roll(v1["response"].values, 1, axis=2)
    unit = {"area": np.full(late.shape[1], "V1-V3")}
    to_netcdf(
        labelled_responses(late, v1["time_ms"].values, {"image": v1["image"].values}, unit), root / "ecog.nc"
    )
    shown = pd.read_parquet(place / "performance.parquet")[["image", "label"]].drop_duplicates()
    trials = [shown.assign(response=shown["label"], rt_ms=400.0, observer=one) for one in ("a", "b")]
    pd.concat(trials)[["image", "response", "rt_ms", "observer"]].to_csv(root / "people.csv", index=False)
    for run_id in run_ids:
        words = ["compare", run_id, "--experiment", "contrast", "--results", str(root)]
        assert main([*words, "--data", str(root / "ecog.nc"), "--n-permutations", "20"]) == 0
        people = ["--data", str(root / "people.csv"), "--method", "behaviour", "--value", "1.0"]
        assert main([*words, *people]) == 0
    return root, run_ids


def test_every_run_is_in_the_tables_and_one_of_each_condition_is_drawn(
    compared: tuple[Path, list[str]], tmp_path: Path
) -> None:
    root, run_ids = compared
    write_report(root, ["contrast"], run_ids, tmp_path / "report.html", comparisons=["ecog", "people"])
    page = (tmp_path / "report.html").read_text()
    recording, observers = (
        page.partition(f'id="comparison-{n}"')[2].partition("<section")[0] for n in (1, 2)
    )
    for run_id in run_ids:
        assert run_id in recording and run_id in observers
    for figure, chapter in (("time_maps", 1), ("courses", 1), ("behaviour", 2)):
        drawn = [run_id for run_id in run_ids if f'id="comparison-{chapter}-{run_id}-{figure}"' in page]
        assert len(drawn) == 2, figure  # two conditions, one of them with two seeds
    assert "correlation distances, scored by spearman" in recording and "20 shuffles" in recording
    assert "reaches 0.5" in observers and ">V1-V3<" in recording.replace("\n", "").replace(" ", "")


def test_a_comparison_that_is_not_whole_is_one_sentence(
    compared: tuple[Path, list[str]], tmp_path: Path
) -> None:
    root, run_ids = compared
    with pytest.raises(InputError, match=r"other/.* holds no whole comparison; compare .* again"):
        write_report(root, ["contrast"], run_ids, tmp_path / "report.html", comparisons=["other"])
    assert not (tmp_path / "report.html").exists()
