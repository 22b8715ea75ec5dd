"""A server answers as the model does, refuses in one sentence, and lives on whatever it is sent."""

from __future__ import annotations

import gc
import http.client
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

import dynvision
from dynvision.errors import InputError
from dynvision.inference import Predictor
from dynvision.inference.server import Limits, Server
from tests.inference.toy import cpu

PIXELS = (np.random.default_rng(0).random((12, 8, 8)) * 255).astype(np.uint8)
PATIENT_S = 600.0  # longer than any busy machine needs
LIMITS = Limits(
    max_bytes=100_000, max_pixels=10_000, receive_s=PATIENT_S, answer_s=PATIENT_S, max_requests=32
)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def predictor(runs: dict[str, Path]) -> Predictor:
    batch = {"dynamic_batching": True, "timeout_ms": 50, "batch_size": 8, "max_batch_size": 8}
    return dynvision.load(runs["plain"], config=cpu(batch=batch))


@contextmanager
def serving(predictor: Predictor, limits: Limits) -> Iterator[Server]:
    made = Server(predictor, port=0, limits=limits)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.stop()
        thread.join()


@pytest.fixture(scope="module")
def server(predictor: Predictor) -> Iterator[Server]:
    with serving(predictor, LIMITS) as made:
        yield made


@pytest.fixture(scope="module")
def hasty(predictor: Predictor) -> Iterator[Server]:
    """A server that does not wait long for what does not come."""
    with serving(predictor, replace(LIMITS, receive_s=1.0)) as made:
        yield made


def ask(
    server: Server,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(*server.server_address[:2])
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    text = response.read().decode()
    kind = response.headers.get("Content-Type", "")
    connection.close()
    return (
        response.status,
        json.loads(text) if kind.startswith("application/json") and text else text,
        response,
    )


def test_the_answer_is_that_of_the_model(server: Server, predictor: Predictor) -> None:
    status, answer, _ = ask(server, "/predict", "POST", png(PIXELS[0]))
    expected = predictor.predict(PIXELS[0])
    assert status == 200 and answer["class_name"] == expected.class_name
    assert np.allclose(answer["probabilities"], expected.probabilities, atol=1e-6)
    assert answer["time_ms"] == expected.time_ms.tolist()
    status, early, _ = ask(server, "/predict?early_exit=1&decision_threshold=0.11", "POST", png(PIXELS[0]))
    expected = predictor.predict(PIXELS[0], early_exit=True, decision_threshold=0.11)
    assert status == 200 and early["decision_ms"] == expected.decision_ms == early["time_ms"][-1]
    gif = io.BytesIO()
    first, *rest = [Image.fromarray(frame) for frame in PIXELS]
    first.save(gif, "GIF", save_all=True, append_images=rest, duration=10)
    status, film, _ = ask(server, "/predict?film=1", "POST", gif.getvalue())
    assert status == 200 and film["time_ms"][-1] >= 120
    assert ask(server, "/predict?frame_rate=200", "POST", gif.getvalue())[1]["time_ms"][-1] >= 60


def test_requests_share_batches(
    server: Server, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is computed when it is full, of eight, however far apart its requests come."""
    monkeypatch.setattr(predictor.config.batch, "timeout_ms", 1000 * PATIENT_S)
    shown = [*PIXELS, *PIXELS[:4]]
    expected = predictor.predict_batch(shown)
    before = predictor.get_performance_stats()["forward_time"]["count"]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda pixels: ask(server, "/predict", "POST", png(pixels)), shown))
    for (status, answer, _), known in zip(answers, expected, strict=True):
        assert status == 200 and np.allclose(answer["probabilities"], known.probabilities, atol=1e-6)
    assert predictor.get_performance_stats()["forward_time"]["count"] - before == 2


def test_what_it_tells_of_itself(server: Server, predictor: Predictor) -> None:
    assert ask(server, "/health")[:2] == (200, {"status": "ok"})
    status, info, _ = ask(server, "/info")
    assert status == 200 and info["run"] == predictor.run.run_id and info["limits"]["max_bytes"] == 100_000
    assert info["class_names"] == list("0123456789") and info["input_shape"] == [1, 8, 8]
    assert ask(server, "/predict", "POST", png(PIXELS[0]))[0] == 200
    assert ask(server, "/predict", "POST", b"nonsense")[0] == 400
    status, text, response = ask(server, "/metrics")
    assert status == 200 and response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert int(values['dynvision_requests_total{path="/predict",status="400"}']) >= 1
    assert values["dynvision_in_flight"] == "0"
    assert values['dynvision_request_seconds_bucket{le="+Inf"}'] == values["dynvision_request_seconds_count"]
    assert int(values["dynvision_forward_seconds_count"]) > 0
    status, page, response = ask(server, "/")
    assert (
        status == 200
        and "<canvas" in page
        and "default-src 'none'" in response.headers["Content-Security-Policy"]
    )
    status, text, _ = ask(server, "/health", "HEAD")
    assert (status, text) == (200, "")


@pytest.mark.parametrize(
    ("path", "method", "body", "status", "said"),
    [
        ("/nothing", "GET", None, 404, "there are /, /health, /info, /metrics, /predict"),
        ("/predict", "GET", None, 405, "/predict takes POST"),
        ("/health", "POST", b"", 405, "/health takes GET"),
        ("/info", "DELETE", None, 405, "/info takes GET"),
        ("/predict", "PUT", b"x", 405, "/predict takes POST"),
        ("/predict", "POST", b"", 400, "an image of 0 bytes cannot be read"),
        ("/predict", "POST", b"nonsense", 400, "an image of 8 bytes cannot be read"),
        ("/predict", "POST", png(PIXELS[0])[:45], 400, "cannot be read"),
        ("/predict", "POST", bytes(100_001), 413, "a request has at most 100000 bytes"),
        ("/predict", "POST", png(np.zeros((200, 200), np.uint8)), 400, "has 200 x 200 px, more than 10000 px"),
        ("/predict?film=1", "POST", b"nonsense", 400, "the film cannot be read as a video"),
        ("/predict?early=1", "POST", b"x", 400, "unknown option 'early'; did you mean 'early_exit'"),
        ("/predict?early_exit=maybe", "POST", b"x", 400, "early_exit='maybe' must be 0 or 1"),
        ("/predict?film=1&film=1", "POST", b"x", 400, "film is given twice"),
        ("/predict?decision_threshold=x", "POST", b"x", 400, "decision_threshold='x' must be a number"),
        ("/predict?decision_threshold=2", "POST", png(PIXELS[0]), 400, "decision_threshold=2.0 must be a probability"),
        ("/predict?frame_rate=nan", "POST", png(PIXELS[0]), 400, "frame_rate=nan must be a number of frames"),
    ],
)  # fmt: skip
def test_refusals(server: Server, path: str, method: str, body: bytes | None, status: int, said: str) -> None:
    found, answer, response = ask(server, path, method, body)
    assert found == status and said in answer["error"] and "Traceback" not in answer["error"]
    if status == 405:
        assert response.headers["Allow"] in answer["error"]


def raw(server: Server, data: bytes) -> bytes:
    with socket.create_connection(server.server_address[:2]) as connection:
        connection.sendall(data)
        found = b""
        try:
            while chunk := connection.recv(4096):
                found += chunk
        except ConnectionResetError:
            pass
        return found


def test_a_body_that_does_not_come(hasty: Server) -> None:
    told = raw(hasty, b"POST /predict HTTP/1.0\r\nContent-Length: 100\r\n\r\nabc")
    assert told.startswith(b"HTTP/1.1 408") and b"did not arrive within 1 s" in told
    for length in (
        b"",
        b"Content-Length: x\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ):
        assert raw(hasty, b"POST /predict HTTP/1.0\r\n" + length + b"\r\n").startswith(b"HTTP/1.1 411")
    assert b"200" not in raw(hasty, b"POST /pre")  # never a whole request: the connection is closed


@pytest.mark.parametrize(
    ("path", "n_bytes", "status", "said"),
    [
        ("/predict", 2**25, 413, "a request has at most 100000 bytes"),
        ("/nothing", 2**25, 404, "there is no '/nothing'"),
        ("/info", 2**22, 405, "/info takes GET"),
        ("/predict?early=1", 100_000, 400, "unknown option 'early'"),
    ],
)
def test_a_refusal_arrives_although_the_body_is_still_sent(
    server: Server, path: str, n_bytes: int, status: int, said: str
) -> None:
    """A connection that is closed with unread bytes is reset, and who sends them reads no answer."""
    found, answer, _ = ask(server, path, "POST", bytes(n_bytes))
    assert found == status and said in answer["error"]


def test_who_asks_before_a_large_body_is_answered_at_once(server: Server) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    image = png(PIXELS[0])
    with socket.create_connection(server.server_address[:2]) as connection:
        connection.sendall(head % len(image))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(image)
        assert connection.recv(20).startswith(b"HTTP/1.1 200")
    with socket.create_connection(server.server_address[:2]) as connection:
        connection.sendall(head % 10**9)
        assert connection.recv(20).startswith(b"HTTP/1.1 413")


def test_silent_connections_are_bounded(predictor: Predictor) -> None:
    server = Server(predictor, port=0, limits=Limits(receive_s=1.0, max_requests=2))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    silent = [socket.create_connection(server.server_address[:2]) for _ in range(20)]
    try:
        for connection in silent:
            connection.settimeout(PATIENT_S)
            assert connection.recv(1) == b""  # closed: at once, or after `receive_s`
            assert len(server._threads) <= 8  # type: ignore[attr-defined]
        assert ask(server, "/health")[0] == 200
    finally:
        for connection in silent:
            connection.close()
        server.stop()
        thread.join()


def test_it_lives_on_whatever_it_is_sent(server: Server, hasty: Server) -> None:
    draw, image = random.Random(1), png(PIXELS[0])
    for _ in range(60):
        damaged = bytearray(image)
        for _ in range(draw.randint(1, 6)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        status, answer, _ = ask(
            server, "/predict" + draw.choice(["", "?film=1", "?early_exit=1"]), "POST", bytes(damaged)
        )
        assert status in (200, 400) and ("error" in answer) == (status == 400)
    for line in (
        b"\0\1\2\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://[ HTTP/1.0\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    ):
        assert b"Traceback" not in raw(hasty, line)
    for one in (server, hasty):
        assert ask(one, "/health")[0] == 200
        assert ask(one, "/predict", "POST", image)[0] == 200


def test_a_threshold_shares_a_batch(
    server: Server, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only early exit is computed alone; a threshold is how an answer is read."""
    monkeypatch.setattr(server.alone, "submit", lambda *_, **__: pytest.fail("computed alone"))
    body = png(PIXELS[1])
    plain, read = (
        ask(server, f"/predict{query}", "POST", body)[1] for query in ("", "?decision_threshold=0.101")
    )
    assert read["decision_threshold"] == 0.101 and read["probabilities"] == plain["probabilities"]
    status, answer, _ = ask(server, "/predict?decision_threshold=2", "POST", body)
    assert status == 400 and "decision_threshold=2.0" in answer["error"]
    assert ask(server, "/predict?early_exit=0", "POST", body)[0] == 200


def test_who_does_not_read_holds_no_thread(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer larger than the buffers of the connection is given up after `receive_s`."""
    large = {"status": "ok", "filling": "x" * 2**24}
    monkeypatch.setattr(
        "dynvision.inference.server._as_json", lambda *_: (200, json.dumps(large).encode(), "a/b", {})
    )
    server = Server(predictor, port=0, limits=Limits(receive_s=0.3))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with socket.create_connection(server.server_address[:2]) as silent:
        silent.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        server.shutdown()
        server.server_close()  # waits for the request
    thread.join()
    server.alone.shutdown()


@pytest.mark.slow
def test_memory_stays_flat_over_many_requests(server: Server) -> None:
    """Bounded: 2,000 requests, good, damaged and refused, from four clients."""
    draw, image, process = random.Random(2), png(PIXELS[0]), psutil.Process()
    damaged = [bytes(draw.randrange(256) if draw.random() < 0.05 else b for b in image) for _ in range(50)]

    def one(number: int) -> int:
        body = image if number % 2 else draw.choice(damaged)
        query = ("", "?early_exit=1", "?decision_threshold=0.2", "?film=1", "?nothing=1")[number % 5]
        return ask(server, f"/predict{query}", "POST", body)[0]

    def some(n: int) -> set[int]:
        with ThreadPoolExecutor(4) as clients:
            return set(clients.map(one, range(n)))

    some(500)
    gc.collect()
    before = process.memory_info().rss
    found = some(2000)
    gc.collect()
    assert found == {200, 400}
    assert process.memory_info().rss - before < 20 * 2**20
    assert ask(server, "/health")[0] == 200 and not server.metrics.in_flight


def test_too_many_at_once(predictor: Predictor) -> None:
    server = Server(predictor, port=0, limits=Limits(max_requests=1, receive_s=PATIENT_S))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    body = png(PIXELS[0])
    with socket.create_connection(server.server_address[:2]) as waiting:
        waiting.sendall(b"POST /predict HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body))
        while not server.metrics.in_flight:
            pass
        status, answer, response = ask(server, "/predict", "POST", body)
        assert (
            status == 503 and response.headers["Retry-After"] == "1" and "try again later" in answer["error"]
        )
        stopping = threading.Thread(target=server.stop)
        stopping.start()  # waits for the request that has come
        waiting.sendall(body)
        assert waiting.recv(20).startswith(b"HTTP/1.1 200")
    stopping.join()
    thread.join()


@pytest.mark.parametrize(
    ("limit", "value"), [("max_bytes", 0), ("answer_s", float("nan")), ("max_pixels", "many")]
)
def test_limits_must_be_possible(limit: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{limit}=.* must be above 0"):
        Limits(**{limit: value})


def test_a_port_that_is_taken(server: Server, predictor: Predictor) -> None:
    for port in (server.server_address[1], 99_999):
        with pytest.raises(InputError, match="nothing can listen at 127.0.0.1:"):
            Server(predictor, port=port)


def test_the_command_ends_in_order(digits_run: Path) -> None:
    call = [sys.executable, "-c", "import sys; from dynvision.cli import main; sys.exit(main())"]
    call += ["serve", str(digits_run), "--port", "0", "--device", "cpu"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        host, port = said.split("http://")[1].strip().strip("/").split(":")
        connection = http.client.HTTPConnection(host, int(port))
        connection.request("POST", "/predict", png(PIXELS[0]))
        assert connection.getresponse().status == 200
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "stopped\n" and process.wait() == 0
