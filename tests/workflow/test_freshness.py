"""What is made again is decided by what results were made from: not by times, and not by notes that may be gone."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynvision.runs import made_from
from dynvision.runs.made_from import describe_folder, has_changed
from tests.workflow.conftest import Workflow, jobs_of

DRAWN = {"plot_contrast": 1, "plot_duration": 1, "plot_training": 1, "report": 1, "all": 1}
OF_A_RUN = {"train": 1, "weights": 1, "experiment": 2, "analyse": 2}
OF_IMAGES = {"convert_dataset": 1, "train": 2, "weights": 2, "experiment": 4, "analyse": 4, **DRAWN}


def copied_anew(again: Workflow) -> Workflow:
    """Results as a plain copy has them: times in any order, and without what Snakemake noted about them."""
    shutil.rmtree(again.root / ".snakemake")
    paths = [path for path in again.results.rglob("*") if path.is_file()]
    now = time.time()
    for number, path in enumerate(sorted(paths, reverse=True)):
        os.utime(path, (now + number, now + number))
    return again


def test_a_copy_of_results_is_as_good_as_they_are(again: Workflow) -> None:
    copy = copied_anew(again)
    assert copy.planned() == {}
    more = copy.planned(model_args="{rctype: [full, self, depthwise], n_timesteps: 3, trc: 2}")
    assert more == {"freeze_run": 1, "runs_table": 1, **OF_A_RUN, **DRAWN}
    assert copy.planned(model_args="{rctype: self, n_timesteps: 3, trc: 2}") == DRAWN


def test_a_copy_knows_another_experiment_and_look(again: Workflow) -> None:
    copy = copied_anew(again)
    assert copy.planned(experiment="contrast") == {"report": 1, "all": 1}
    assert copy.planned(visualization="{dpi: 100}") == {"freeze_visualization": 1, **DRAWN}
    copy.edit("config_experiments.yaml", "[0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]", "[0.5, 1.0]")
    repeated = {
        "freeze_experiment": 1,
        "experiment": 2,
        "analyse": 2,
        "plot_contrast": 1,
        "report": 1,
        "all": 1,
    }
    assert copy.planned() == repeated


def test_a_run_that_was_removed_is_made_again(again: Workflow) -> None:
    shutil.rmtree(again.results / "runs" / again.runs[0])
    assert again.planned() == {"freeze_run": 1, "runs_table": 1, **OF_A_RUN, **DRAWN}
    shutil.rmtree(again.root / ".snakemake")
    assert again.planned() == {"freeze_run": 1, "runs_table": 1, **OF_A_RUN, **DRAWN}


@pytest.mark.parametrize(
    ("lost", "planned"),
    [
        ("figures/contrast/measures.csv", {"plot_contrast": 1, "report": 1, "all": 1}),
        ("experiments/duration/*/metrics.parquet", {"analyse": 2, "plot_duration": 1, "report": 1, "all": 1}),
        ("runs/*/test.json", {"train": 2, "weights": 2, "experiment": 4, "analyse": 4, **DRAWN}),
    ],
)
def test_a_lost_file_is_made_again_with_what_follows(
    again: Workflow, lost: str, planned: dict[str, int]
) -> None:
    found = list(again.results.glob(lost))
    assert found
    for path in found:
        path.unlink()
    assert again.planned() == planned


def test_files_of_the_future_repeat_nothing(again: Workflow) -> None:
    """A clock that was wrong, here or on another machine."""
    future = time.time() + 7 * 24 * 3600
    for path in [*again.results.rglob("config.yaml"), *again.results.rglob("manifest.json")]:
        os.utime(path, (future, future))
    assert again.planned() == {}


@pytest.mark.parametrize(
    ("old", "new", "planned"),
    [
        ("measures: [rise_time_ms,", "measures: [onset_latency_ms, rise_time_ms,", {"analyse": 2}),
        ("focus_layer: V1", "focus_layer: V2", {}),
    ],
)
def test_what_is_measured_and_drawn_is_not_what_is_shown(
    again: Workflow, old: str, new: str, planned: dict[str, int]
) -> None:
    path = again.root / "config" / "config_experiments.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    drawn = {"freeze_experiment": 1, "plot_contrast": 1, "report": 1, "all": 1}
    assert again.planned() == {**drawn, **planned}


def test_the_code_of_a_measure_repeats_the_analysis(again: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    package = again.root / "dynvision"
    shutil.copytree(
        Path(made_from.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setenv("PYTHONPATH", str(again.root))
    assert jobs_of(again.snakemake("-n")) == {}  # a program, since this process has imported the package
    with open(package / "analysis" / "peak.py", "a") as file:
        file.write("\nCHANGED = True\n")
    measured = {"analyse": 4, "plot_contrast": 1, "plot_duration": 1, "report": 1, "all": 1}
    assert jobs_of(again.snakemake("-n")) == measured


@pytest.fixture
def images(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The images, to be changed; afterwards they are as they were."""
    kept = shutil.copytree(digits, tmp_path_factory.mktemp("kept") / "images")
    yield digits
    shutil.rmtree(digits)
    shutil.copytree(kept, digits)


def test_images_that_were_added(again: Workflow, images: Path) -> None:
    shutil.copy(images / "digit 0" / "00.png", images / "digit 0" / "zz.png")
    assert again.planned() == OF_IMAGES


def test_images_that_were_touched_or_accompanied(again: Workflow, images: Path) -> None:
    for path in images.rglob("*.png"):
        path.touch()
    (images / "README.txt").write_text("digits")
    (images / "digit 1" / ".thumbs.png").write_text("hidden")
    assert again.planned() == {}


def test_a_folder_of_images_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    for name, level in (("a", 10), ("b", 200)):
        Image.fromarray(np.full((4, 4), level, np.uint8)).save(tmp_path / "cat" / f"{name}.pgm")
    then = describe_folder(tmp_path, {".pgm"})
    assert then["n_files"] == 2 and not has_changed(then)
    first, second = (tmp_path / "cat" / f"{name}.pgm" for name in "ab")
    first.touch()
    assert not has_changed(then)
    content = second.read_bytes()
    second.write_bytes(first.read_bytes())  # as long as before
    os.utime(second, (1, 1))
    assert has_changed(then)
    second.write_bytes(content)
    assert not has_changed(then)
    second.rename(tmp_path / "cat" / "c.pgm")
    assert has_changed(then)
    (tmp_path / "cat" / "c.pgm").unlink()
    assert has_changed(then)
    shutil.rmtree(tmp_path)
    assert not has_changed(then)  # what was made from images that are gone remains


def test_links_and_loops_in_a_folder_of_images(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "folder"
    elsewhere.mkdir()
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "more").symlink_to(elsewhere)
    (folder / "cat" / "loop").symlink_to(folder)
    then = describe_folder(folder, {".png"})
    (elsewhere / "new.png").write_bytes(b"1")
    assert has_changed(then)


def test_a_large_folder_is_known_by_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynvision.runs.made_from.MANY", 1)
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(b"1")
    then = describe_folder(tmp_path, {".png"})
    assert "times" not in then and not has_changed(then)
    (tmp_path / "b.png").rename(tmp_path / "c.png")
    assert has_changed(then)


def test_a_record_is_there_only_beside_what_is_whole(tmp_path: Path) -> None:
    record, result = tmp_path / "table.json", tmp_path / "table.parquet"
    with made_from.made_from(record, {"a": 1}) as facts:
        facts["weights"] = "w"
        result.touch()
    assert made_from.is_made_from(record, {"a": 1}, result)
    assert not made_from.is_made_from(record, {"a": 2}, result)
    assert made_from.read_record(record) == {"made_from": {"a": 1}, "weights": "w"}
    with pytest.raises(KeyboardInterrupt), made_from.made_from(record, {"a": 1}):
        assert not record.exists()
        raise KeyboardInterrupt
    assert not made_from.is_made_from(record, {"a": 1}, result)
    record.write_text("{")
    assert made_from.identity_of(record) is None


def test_a_study_with_a_name_leaves_the_others_alone(again: Workflow) -> None:
    named = {"study": "two", "model_args": "{rctype: self, n_timesteps: 3, trc: 2}"}
    assert again.planned(**named) == {"freeze_visualization": 1, **DRAWN, "runs_table": 1}
    before = {path: path.read_bytes() for path in again.results.rglob("*") if path.is_file()}
    outcome = again.snakemake(**named, experiment="contrast")
    assert outcome.status == 0, outcome.said
    assert "The report is results/studies/two/report.html" in outcome.said
    folder = again.results / "studies" / "two"
    report = (folder / "report.html").read_text()
    reported = [run_id for run_id in again.runs if f"runs/{run_id}" in report or run_id in report]
    assert len(reported) == 1 and (folder / "figures" / "contrast" / "measures.png").exists()
    assert {path: path.read_bytes() for path in before} == before
    assert again.planned() == {} == again.planned(**named, experiment="contrast")


def test_a_report_that_fails_leaves_the_last_one(again: Workflow) -> None:
    rules = again.root / "workflow" / "rules" / "report.smk"
    rules.write_text(rules.read_text().replace('"dynvision report', '"echo broken; exit 3; dynvision report'))
    report = again.results / "report.html"
    before = report.read_bytes()
    outcome = again.snakemake(experiment="contrast")
    assert outcome.status == 1 and report.read_bytes() == before
    assert again.planned(experiment="contrast") == {"report": 1, "all": 1}


def test_a_study_that_cannot_name_a_folder(workflow: Workflow) -> None:
    outcome = workflow.plan(study="a/b")
    assert outcome.status == 1
    assert "study='a/b' cannot name a folder; use letters, digits, _, - and ." in outcome.said
