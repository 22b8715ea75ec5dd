"""The report as a browser shows it, and as a parser reads it."""

from __future__ import annotations

import html
import html.parser
import json
import re
import shutil
import subprocess

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)


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


def look(address, width, profile, *options):
    """Open a page that hands facts to its frame; returns them and the messages of the console."""
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
        "--virtual-time-budget=8000", f"--user-data-dir={profile}/profile", f"--window-size={width + 50},1000",
        *options, "--dump-dom", address,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seen = re.search(r"<pre>(.+?)</pre>", done.stdout, re.DOTALL)
    assert seen, done.stderr[-2000:]
    return json.loads(html.unescape(seen[1])), [
        line for line in done.stderr.splitlines() if "CONSOLE" in line
    ]


def browse(folder, width, profile, *options):
    """Open a report at a width; returns what the probe saw and the messages of the console."""
    text = (folder / "report.html").read_text()
    (profile / "probed.html").write_text(text.replace("</body>", PROBE))
    (profile / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    return look((profile / "frame.html").as_uri(), width, profile, *options)


VOID = {"meta", "link", "img", "br", "hr", "wbr"}


class Page(html.parser.HTMLParser):
    """A page's elements; fails on tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.tables, self.identities = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        if "id" in attrs:
            self.identities.append(attrs["id"])
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data

    def images(self):
        return [attrs for tag, attrs in self.elements if tag == "img"]
