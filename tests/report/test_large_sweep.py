"""The report of a sweep of twenty conditions: short, complete, and within the window at every width."""

import re

import pytest

from dynvision.cli.arguments import read_visualization
from dynvision.report import write_report
from tests.report.conftest import LOOK
from tests.report.pages import BROWSER, Page, browse

KINDS = ("full", "self", "none", "local", "depthpointwise")
TAUS = (3.0, 5.0, 7.0, 9.0)


@pytest.fixture(scope="module")
def sweep(results, run, tmp_path_factory):
    """Results of a product of twenty conditions with a report; and the run ids."""
    root = tmp_path_factory.mktemp("sweep")
    configs = [run(recurrence_type=kind, tau=tau) for kind in KINDS for tau in TAUS]
    run_ids = results(root, configs, experiments=("contrast",), n_images=3)
    write_report(root, ["contrast"], run_ids, root / "report.html", read_visualization(LOOK))
    return root, run_ids


@pytest.mark.slow
def test_the_page_of_twenty_conditions(sweep):
    root, run_ids = sweep
    text = (root / "report.html").read_text()
    page = Page(text)
    assert "in 20 conditions. They vary τ (ms) and recurrence." in text
    assert len(page.images()) == 8  # of the sweep, five of the experiment, training and weights
    beside = next(table for table in page.tables if table[0][0] == "condition" and table[0][-1] == "seeds")
    assert len(beside) == 21 and len({row[0] for row in beside}) == 21
    assert "All 20 runs" in text and "<summary>Run DyRCNNx4" not in text
    points = re.findall(r'<ul class="points">', text)
    assert points == []  # twenty sentences are no summary
    for run_id in run_ids:
        assert run_id in text
    by_rule = next(table for table in page.tables if table[0][0] == "rule")
    assert by_rule[1][:2] == ["train", "20"]


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome; none is installed")
@pytest.mark.parametrize("width", [400, 1600])
def test_twenty_conditions_in_a_window(sweep, tmp_path, width):
    facts, messages = browse(sweep[0], width, tmp_path)
    assert messages == []
    assert facts["window"] == width >= facts["page"]
    for image in facts["images"]:
        assert image["complete"] and min(image["natural"], image["width"], image["height"]) > 100
        assert image["width"] < (1248 if width == 1600 else 1500)  # what is wider scrolls within its frame
