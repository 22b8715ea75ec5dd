"""The page of the server in a real browser: an image is dropped, and its responses and the decision unfold."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dynvision.inference import Predictor
from dynvision.inference.server import Handler, Reply, Server
from tests.inference.toy import encoded
from tests.report.pages import BROWSER, FRAME, look

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome; none is installed")
DROPPED = {"good": encoded("PNG"), "bad": b"no image"}
THRESHOLD = 0.11  # which every image has, with ten classes

# Drops a file where a mouse would, writes down what the page states meanwhile, and counts the points of each colour.
DROP = """<script>
addEventListener("load", () => {
  const decision = document.getElementById("decision"), error = document.getElementById("error"), texts = [];
  document.getElementById("threshold").value = "THRESHOLD";
  const tell = () => {
    const plot = document.getElementById("plot"), points = {};
    if (!plot.hidden) {
      const rgba = plot.getContext("2d").getImageData(0, 0, plot.width, plot.height).data;
      for (let i = 0; i < rgba.length; i += 4) if (rgba[i + 3] === 255) {
        const colour = "#" + [0, 1, 2].map((k) => rgba[i + k].toString(16).padStart(2, "0")).join("");
        points[colour] = (points[colour] || 0) + 1;
      }
    }
    window.parent.postMessage({ texts, points, error: error.textContent,
      about: document.getElementById("about").textContent,
      classes: Array.from(document.querySelectorAll("#classes li"), (item) => item.textContent),
      marks: Array.from(document.querySelectorAll("#classes span"), (mark) => mark.getBoundingClientRect().width),
      shown: document.getElementById("shown").naturalWidth, plot: plot.getBoundingClientRect().width,
      window: window.innerWidth, page: document.documentElement.scrollWidth }, "*");
  };
  new MutationObserver(() => {
    if (decision.textContent && decision.textContent !== texts.at(-1)) texts.push(decision.textContent);
    if (decision.dataset.done || error.textContent) tell();
  }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  const bytes = Uint8Array.from(atob("BYTES"), (letter) => letter.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], "digit.png", { type: "image/png" }));
  const how = { dataTransfer: data, bubbles: true, cancelable: true };
  for (const kind of ["dragover", "drop"]) document.getElementById("drop").dispatchEvent(new DragEvent(kind, how));
});
</script>"""


class Framed(Handler):
    """Serves the page with what is dropped on it, ``/probed-NAME``, in a frame of a width, ``/frame-WIDTH-NAME``."""

    def _reply(self, method: str) -> Reply:
        kind, _, rest = self.path.lstrip("/").partition("-")
        if kind == "frame":
            width, name = rest.split("-")
            frame = FRAME.replace("WIDTH", width).replace("probed.html", f"probed-{name}")
            return 200, frame.encode(), "text/html", {}
        if kind != "probed":
            return super()._reply(method)
        self.path = "/"
        status, page, form, headers = super()._reply(method)
        dropped = base64.b64encode(DROPPED[rest]).decode()
        probe = DROP.replace("BYTES", dropped).replace("THRESHOLD", str(THRESHOLD))
        return status, page.replace(b"</html>", probe.encode() + b"</html>"), form, headers


@pytest.fixture
def address(predictor: Predictor) -> Iterator[str]:
    """Where the page is served."""
    server = Server(predictor, port=0)
    server.RequestHandlerClass = Framed
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.url
    server.stop()
    thread.join()


@pytest.mark.parametrize("width", [390, 1280])
def test_an_image_is_dropped_and_the_decision_appears(
    address: str, predictor: Predictor, width: int, tmp_path: Path
) -> None:
    seen, messages = look(f"{address}frame-{width}-good", width, tmp_path)
    answer = predictor.predict(DROPPED["good"], decision_threshold=THRESHOLD)
    assert messages == [] and seen["error"] == ""
    assert predictor.run.run_id in seen["about"]
    final = answer.probabilities[-1]
    best = np.argsort(-final, kind="stable")[:5]
    assert seen["classes"] == [answer.class_names[k] for k in best] and min(seen["marks"]) > 10
    at = int(np.flatnonzero(answer.time_ms == answer.decision_ms)[0])
    decided = answer.class_names[int(answer.probabilities[at].argmax())]
    assert seen["texts"][0].startswith(f"{answer.time_ms[0]:g} ms: ")
    assert seen["texts"][-1] == (
        f"{answer.time_ms[-1]:g} ms: {answer.class_names[int(final.argmax())]} ({final.max():.2f}), "
        f"decided for {decided} at {answer.decision_ms:g} ms"
    )
    assert 1 < len(seen["texts"]) <= len(answer.time_ms)  # step by step
    for colour in ("#0072b2", "#d55e00"):  # of the two most probable classes
        assert seen["points"][colour] > 20
    assert seen["shown"] == 8 and seen["window"] == width >= seen["page"]
    assert 0.85 * min(width, 736) < seen["plot"] <= width


def test_what_is_no_image_is_one_sentence(address: str, tmp_path: Path) -> None:
    seen, messages = look(f"{address}frame-390-bad", 390, tmp_path)
    assert seen["error"].startswith("an image of 8 bytes cannot be read") and seen["texts"] == []
    assert seen["points"] == {} and seen["page"] <= 390
    assert all("400" in message for message in messages)  # the browser's own, of the status
