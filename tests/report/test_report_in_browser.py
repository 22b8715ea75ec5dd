"""The report in a real browser: no errors, every image visible, nothing wider than the window, tables that sort."""

import pytest

from tests.report.pages import BROWSER, browse

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome; none is installed")


@pytest.mark.parametrize("width", [400, 1600])
def test_in_a_window(folder, tmp_path, width):
    facts, messages = browse(folder[0], width, tmp_path)
    assert messages == []
    assert facts["window"] == width >= facts["page"]
    assert len(facts["images"]) == 14
    for image in facts["images"]:
        assert image["complete"] and min(image["natural"], image["width"], image["height"]) > 100
    assert facts["up"] == [0.95, 0.96, 0.97] and facts["down"] == [0.97, 0.96, 0.95]
    assert facts["sort"] == "descending"
    assert facts["ground"] == "rgb(253, 253, 252)"


def test_in_the_dark(folder, tmp_path):
    facts, messages = browse(folder[0], 800, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert messages == [] and facts["ground"] == "rgb(23, 25, 27)"
