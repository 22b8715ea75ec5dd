"""The report in a real browser: no errors, every image visible, nothing wider than the window, tables that sort."""

import json
import re
import shutil
import subprocess

import pytest

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome; none is installed")

TEST_ACCURACY = 4  # its column in the first table
PROBE = """<script>
window.addEventListener("load", () => {
  const first = document.querySelector("table");
  const keys = () => Array.from(first.tBodies[0].rows, (row) => Number(row.cells[COLUMN].dataset.key));
  const head = first.tHead.rows[0].cells[COLUMN];
  head.querySelector("button").click(); const up = keys();
  head.querySelector("button").click(); const down = keys();
  const images = Array.from(document.querySelectorAll("img, svg"), (image) => {
    const box = image.getBoundingClientRect();
    return { complete: image.complete, natural: image.naturalWidth, width: box.width, height: box.height };
  });
  window.parent.postMessage({ up, down, images, sort: head.getAttribute("aria-sort"), window: window.innerWidth,
    page: document.documentElement.scrollWidth, ground: getComputedStyle(document.body).backgroundColor }, "*");
});
</script></body>""".replace("COLUMN", str(TEST_ACCURACY))
# Headless windows have a least width, frames have not.
FRAME = """<!DOCTYPE html><link rel="icon" href="data:,"><body><pre></pre><script>
window.addEventListener("message", (seen) => {
  document.querySelector("pre").textContent = JSON.stringify(seen.data);
});
</script><iframe src="probed.html" style="width: WIDTHpx; height: 900px; border: 0"></iframe></body>"""


def browse(folder, width, profile, *options):
    """Open a report at a width; returns what the probe saw and the messages of the console."""
    text = (folder / "report.html").read_text()
    (profile / "probed.html").write_text(text.replace("</body>", PROBE))
    (profile / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
        "--virtual-time-budget=4000", f"--user-data-dir={profile}/profile", f"--window-size={width + 50},1000",
        *options, "--dump-dom", (profile / "frame.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seen = re.search(r"<pre>(.+?)</pre>", done.stdout, re.DOTALL)
    assert seen, done.stderr[-2000:]
    return json.loads(seen[1]), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


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
