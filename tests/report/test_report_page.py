"""The report has every figure and every number, needs nothing else, and trusts no name."""

import base64
import html.parser
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis import read_experiment, read_metrics
from dynvision.cli import main
from dynvision.config.visualization import DEFAULT_FIGURES, RUN_FIGURES, SWEEP_FIGURES
from dynvision.errors import InputError
from dynvision.report import write_report
from dynvision.report.content import number, seconds
from dynvision.report.prose import NO_BREAK, change_of
from dynvision.runs import ResultPaths
from dynvision.stimuli.stimulus import STIMULI
from dynvision.visualization.tables import ExperimentTables, read_configs
from tests.report.pages import Page


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder[0] / "report.html").read_text())


def test_it_is_one_well_formed_page(folder, page):
    text = (folder[0] / "report.html").read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert len(page.identities) == len(set(page.identities))
    links = [attrs["href"] for tag, attrs in page.elements if tag == "a"]
    assert {link[1:] for link in links} <= set(page.identities) and len(links) == 6


def test_it_needs_nothing_else(folder, page):
    for tag, attrs in page.elements:
        assert tag not in ("iframe", "object", "embed", "base")
        for name in ("src", "href"):
            assert attrs.get(name, "#").startswith(("#", "data:")), (tag, attrs)
    outside = re.sub(
        r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+", "", (folder[0] / "report.html").read_text()
    )
    assert not re.search(r"https?://|@import|url\(", outside)


def test_it_has_every_figure_as_it_was_drawn(folder, page):
    root, _ = folder
    embedded = [base64.b64decode(image["src"].partition("base64,")[2]) for image in page.images()]
    drawn = [
        root / "figures" / experiment / f"{name}.svg"
        for experiment in ("contrast", "duration")
        for name in (*SWEEP_FIGURES, *DEFAULT_FIGURES)
    ]
    drawn += [root / "figures" / "training" / f"{name}.svg" for name in RUN_FIGURES]
    assert embedded == [path.read_bytes() for path in drawn]
    for image in page.images():
        assert int(image["width"]) > 100 and int(image["height"]) > 100 and image["alt"]


def test_captions_say_how_to_read_the_figures(folder):
    text = (folder[0] / "report.html").read_text()
    for number_ in range(1, 15):
        assert f"<b>Figure {number_}.</b>" in text
    for words in (
        "no baseline is subtracted",
        "chance (10 %)",
        "The bars on top show when the stimulus is on, in the colour of the duration",
        "bands show the range over seeds",
        "95 % bootstrap interval of the mean over 12 images where a condition has one seed",
    ):
        assert words in text, words


def test_it_has_every_number(folder, page):
    """Each mean, over images and over seeds, stands in the row of its condition, layer and value."""
    root, run_ids = folder
    rows = [[cell.strip() for cell in row] for table in page.tables for row in table]
    conditions = {"recurrence: self": run_ids[:2], "recurrence: full": run_ids[2:]}
    n_checked = 0
    for experiment in ("contrast", "duration"):
        for condition, of_condition in conditions.items():
            tables = [
                read_metrics(ResultPaths(root).experiment(experiment, run_id) / "metrics.parquet")
                for run_id in of_condition
            ]
            means = pd.concat(tables).groupby(["layer", "value", "measure"], observed=True)["mean"].mean()
            for (layer, value, _), mean in means.items():
                where = [layer] if layer != "classifier" else []
                head = [condition, *where, f"{value:g}"]
                found = [row for row in rows if row[: len(head)] == head]
                assert any(cell.split(" ")[0] == number(mean) for row in found for cell in row), (head, mean)
                n_checked += 1
    assert n_checked == 2 * 2 * 6 * (4 * 3 + 2)


def test_intervals_are_beside_the_means(folder, page):
    root, run_ids = folder
    metrics = read_metrics(ResultPaths(root).experiment("contrast", run_ids[2]) / "metrics.parquet")
    cells = {cell for table in page.tables for row in table for cell in row}
    for row in metrics.itertuples():
        assert f"{number(row.mean)} [{number(row.ci_low)}, {number(row.ci_high)}]" in cells


def test_runs_with_their_accuracies_times_and_memory(folder, page):
    _, run_ids = folder
    rows = [row for table in page.tables for row in table]
    by_run = {row[-1]: row for row in rows if row[-1] in run_ids}
    assert [by_run[run_id][4] for run_id in run_ids] == ["95.0 % of 360", "96.0 % of 360", "97.0 % of 360"]
    assert by_run[run_ids[0]][:4] == ["recurrence: self", "DyRCNNx4", "digits", "1"]
    assert by_run[run_ids[0]][5:8] == ["80.0 %", "8", "24.0 s"]
    assert [f"train/{run_ids[2]}", "1 min 4 s", "512"] in rows
    text = str(rows)
    for package in ("torch", "snakemake", "pandas", "Python"):
        assert f"'{package}', '" in text
    assert "0123abcd" * 8 in text


def test_prose_says_what_was_run_and_found(folder):
    text = (folder[0] / "report.html").read_text()
    for words in (
        "Three runs of DyRCNNx4 were trained for 8 epochs, in two conditions (recurrence: self; recurrence: full).",
        "The seeds are 1 and 2.",
        "grey images of 32 × 32 px, 1,294 to train, 143 to validate and 360 to test, in ten classes.",
        "Each of 12 test images was shown alone, once for each value: after a blank of 2 ms the image came on at "
        "0 ms, for 4, 8, 16, 24, 32 and 48 ms, at contrast 1. Responses were recorded until 80 ms. "
        "During the test, idle time = 40 ms.",
        "From contrast 0.1 to 1, in V1, time to 90 % of peak falls from",
        "From duration 4 to 48 ms, in V2, time to 90 % of peak rises from",
        "After training, 95.0 % to 97.0 % of 360 test images are classified correctly.",
    ):
        assert words in text, words


def test_configurations_are_in_it_as_they_are(folder, page):
    root, run_ids = folder
    text = html.unescape((root / "report.html").read_text())
    for path in [*(root / "runs").glob("*/config.yaml"), *(root / "experiments").glob("*/config.yaml")]:
        assert path.read_text() in text
    assert [tag for tag, _ in page.elements].count("details") == 5


def test_equal_results_give_equal_reports(folder, tmp_path, monkeypatch):
    root, run_ids = folder
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in ("a.html", "b.html"):
        write_report(root, ["contrast"], run_ids, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert "2023-11-14 22:13 UTC" in (tmp_path / "a.html").read_text()


def test_a_part_of_the_runs_leaves_out_the_jobs_of_others(folder, tmp_path):
    root, run_ids = folder
    write_report(root, ["contrast"], run_ids[:1], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert run_ids[0] in text and run_ids[2] not in text


def test_tests_trainings_manifests_and_benchmarks_may_be_missing(folder, tmp_path):
    root, run_ids = folder
    copy = tmp_path / "results"
    shutil.copytree(root, copy)
    for gone in ("benchmarks", "data", "figures/training"):
        shutil.rmtree(copy / gone)
    for run_id in run_ids:
        (copy / "runs" / run_id / "test.json").unlink()
        (copy / "runs" / run_id / "training.csv").unlink()
    write_report(copy, ["contrast"], run_ids, copy / "report.html")
    page = Page((copy / "report.html").read_text())
    assert len(page.images()) == len((*SWEEP_FIGURES, *DEFAULT_FIGURES))
    assert page.tables[0][1][4] == "–"


def test_names_are_escaped(results, run, tmp_path):
    evil = "folder:<script>alert(1)</script>&\"' $x_1$"
    run_ids = results(tmp_path, [run(), run(data=evil)], experiments=("contrast",), n_images=3)
    drawing = (tmp_path / "figures" / "contrast" / "responses.svg").read_text()
    assert "$x_1$" in drawing and "<script>" not in drawing
    write_report(tmp_path, ["contrast"], run_ids, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in text
    Page(text)


def test_what_is_missing_or_broken_is_one_sentence(folder, tmp_path, capsys):
    root, run_ids = folder
    copy = tmp_path / "results"
    shutil.copytree(root, copy)

    def fails(sentence, experiments=("contrast",), ids=tuple(run_ids)):
        words = ["report", "--results", str(copy), "--experiments", *experiments, "--run-ids", *ids]
        assert main([*words, "--output", str(copy / "new.html")]) == 2
        message = capsys.readouterr().err
        assert sentence in message and message.count("\n") == 1, message
        assert not (copy / "new.html").exists()

    fails("nothing/config.yaml does not exist", experiments=("nothing",))
    fails("no_run/config.yaml does not exist", ids=("no_run",))
    figure = copy / "figures" / "contrast" / "measures.svg"
    figure.write_text("<svg></svg>")
    fails("measures.svg is not an SVG of dynvision plot")
    figure.unlink()
    fails("measures.svg does not exist; draw the figures with dynvision plot first")
    test = copy / "runs" / run_ids[0] / "test.json"
    test.write_text(json.dumps({"test_accuracy": "good", "n_images": 3}))
    fails("test.json lacks a number for test_accuracy")
    test.write_text("{")
    fails("test.json is not valid JSON")
    shutil.move(copy / "runs" / run_ids[0], copy / "runs" / "renamed")
    fails(f"is the configuration of {run_ids[0]}, not of renamed", ids=("renamed",))
    with pytest.raises(InputError, match="results folder .* does not exist"):
        write_report(tmp_path / "nothing", ["contrast"], run_ids, tmp_path / "report.html")


def test_broken_benchmarks_are_named(folder, tmp_path):
    root, run_ids = folder
    copy = tmp_path / "results"
    shutil.copytree(root, copy)
    (copy / "benchmarks" / "plot.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(InputError, match="plot.tsv is not a table with times"):
        write_report(copy, ["contrast"], run_ids, copy / "report.html")
    (copy / "benchmarks" / "plot.tsv").write_text("s\tmax_rss\n2.5\t-\n3.5\tNA\n")
    write_report(copy, ["contrast"], run_ids, copy / "report.html")
    rows = [row for table in Page((copy / "report.html").read_text()).tables for row in table]
    assert ["plot", "6.0 s", "–"] in rows


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1.00"), (0.98765, "0.988"), (12.345, "12.3"), (1234.5, "1,234"), (0.00012, "0.000120"),
     (float("nan"), "–"), (3e-9, "3.00e-09"), (999.96, "1,000")],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


def test_durations():
    assert [seconds(value) for value in (0.04, 59.9, 61.5, 7265.0)] == [
        "0.0 s",
        "59.9 s",
        "1 min 2 s",
        "2 h 1 min",
    ]


def test_a_figure_has_the_caption_that_was_saved_in_it_and_otherwise_its_name(folder, tmp_path):
    root, run_ids = folder
    write_report(root, ["contrast"], run_ids, tmp_path / "report.html")
    text = html.unescape((tmp_path / "report.html").read_text())
    for words in (
        "Measures of the responses against contrast",
        "Responses of the layers",
        "Loss and accuracy over",
    ):
        assert words in text
    copy = tmp_path / "results"
    shutil.copytree(root, copy)
    svg = copy / "figures" / "contrast" / "measures.svg"
    svg.write_text(re.sub(r"<dc:description>.*?</dc:description>", "", svg.read_text(), flags=re.DOTALL))
    write_report(copy, ["contrast"], run_ids, copy / "report.html")
    assert "<b>Figure 4.</b> Measures" in (copy / "report.html").read_text()


def test_a_stimulus_without_words_of_its_own_is_described_by_its_keys(folder, tmp_path, monkeypatch):
    root, run_ids = folder

    def describe(self, said):
        return f"of {said['colour']}"  # a key that it has not

    monkeypatch.setattr(STIMULI["pulse"], "describe", describe)
    write_report(root, ["contrast"], run_ids, tmp_path / "report.html")
    assert "in a stimulus of type pulse with contrast" in (tmp_path / "report.html").read_text()
    monkeypatch.delattr(STIMULI["pulse"], "describe")
    write_report(root, ["contrast"], run_ids, tmp_path / "report.html")
    assert "in a stimulus of type pulse with contrast" in (tmp_path / "report.html").read_text()


def course(values, measure="accuracy_peak", layer="classifier"):
    return pd.DataFrame(
        {
            "layer": layer,
            "measure": measure,
            "value": [0.1 * n for n in range(1, len(values) + 1)],
            "mean": values,
        }
    ).set_index(["layer", "measure", "value"])["mean"]


def said(values, measure="accuracy_peak", layer="classifier", unit=""):
    return change_of(course(values, measure, layer), layer, measure, unit).replace(NO_BREAK, " ")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.100, 0.056, 0.100], "falls from 10.0 % to 5.6 % at 0.2, then rises to 10.0 %"),
        ([0.1, 0.5, 0.9, 0.3], "rises from 10.0 % to 90.0 % at 0.3, then falls to 30.0 %"),
        ([0.9, 0.5, 0.1], "falls from 90.0 % to 10.0 %"),
        ([0.1, 0.9, 0.1, 0.9, 0.1], "goes up and down between 10.0 % and 90.0 %"),
        ([0.1, 0.1, 0.1], "stays at 10.0 %"),
        ([0.900, 0.901, 0.899], "stays near 90.0 %"),
        ([0.5], "is 50.0 %"),
        ([np.nan, 0.1, 0.9], "rises from 10.0 % to 90.0 % (without a value at 0.1)"),
        ([np.nan, np.nan], "has no value"),
    ],
)
def test_sentences_are_of_all_values(values, words):
    assert said(values) == f"peak accuracy {words}"


def test_nothing_goes_from_one_value_to_the_same():
    assert said([8.0, 7.995, 7.99], "rise_time_ms", "V1") == "time to 90 % of peak stays near 8.00 ms"
    assert said([0.0004, 0.00039]) == "peak accuracy stays at 0.0 %"
    wiggle = said([1.0, 2.0, 1.99, 3.0, 2.97, 4.0], "peak", "V1")
    assert wiggle == "peak response rises from 1.00 to 4.00 a.u."  # what cannot be seen is no turn


def test_ratios_have_no_unit_behind_them():
    assert said([0.5, 0.75], "peak_ratio", "V1") == "later / earlier peak rises from 0.500 to 0.750"
    assert change_of(course([2.0, 3.0], "peak", "V1"), "V1", "peak") == (
        f"peak response rises from 2.00 to 3.00{NO_BREAK}a.u."
    )
    assert said([3.0, 2.0, 3.0], "peak", "V1", "ms").endswith("to 2.00 at 0.2 ms, then rises to 3.00 a.u.")


def test_only_the_same_accuracies_stand_beside_each_other(folder, tmp_path):
    """Validation accuracy is over all scored steps, of the epoch whose weights were tested."""
    root, run_ids = folder
    copy = tmp_path / "results"
    shutil.copytree(root, copy)
    test = {"test_accuracy": 0.9, "test_accuracy_over_time": 0.6, "n_images": 360, "epoch": 3}
    (copy / "runs" / run_ids[0] / "test.json").write_text(json.dumps(test))
    write_report(copy, ["contrast"], run_ids, copy / "report.html")
    table = Page((copy / "report.html").read_text()).tables[0]
    columns = [name.strip() for name in table[0]]
    row = dict(zip(columns, next(row for row in table if row[-1] == run_ids[0]), strict=True))
    training = pd.read_csv(copy / "runs" / run_ids[0] / "training.csv").set_index("epoch")
    assert row["test accuracy, last step"] == "90.0 % of 360"
    assert row["test accuracy, all steps"] == "60.0 %"
    assert row["validation accuracy, all steps"] == f"{100 * training.loc[3, 'val_accuracy']:.1f} %"
    assert training.loc[3, "val_accuracy"] != training["val_accuracy"].iloc[-1]


def test_chance_is_that_of_all_classes_of_the_network(folder, tmp_path):
    """Of ten classes one is shown and two are guessed; the table says how many there are, or else the manifest does."""
    root, run_ids = folder
    copy = tmp_path / "results"
    shutil.copytree(root, copy)
    path = ResultPaths(copy).experiment("contrast", run_ids[0]) / "performance.parquet"
    table = pd.read_parquet(path)
    shown = table[table["label"] == 3]
    paths, configs = ResultPaths(copy), read_configs(ResultPaths(copy), run_ids[:1])
    for made in (shown.assign(guess=3), shown.assign(guess=3, n_classes=10)):
        made.to_parquet(path)
        experiment = read_experiment(copy / "experiments" / "contrast" / "config.yaml")
        tables = ExperimentTables(paths, experiment, configs)
        assert tables.accuracy["chance"].unique().tolist() == [0.1]
        assert tables.moments["chance"].unique().tolist() == [0.1]
        shutil.rmtree(copy / "data", ignore_errors=True)
