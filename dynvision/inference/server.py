"""A trained run over HTTP, by the standard library: POST an image or a film, get the answer as JSON.

    POST /predict    body: the bytes of an image, or of a film; ?early_exit=1&decision_threshold=0.6&frame_rate=25&film=1
    GET  /health     whether it answers
    GET  /info       what answers, and the limits
    GET  /metrics    counts and times, for Prometheus
    GET  /           a page to drop an image or a film on

Requests that come together share a batch (`batch.dynamic_batching`). A connection is for one request; it is closed when the
request has not arrived in time. Every refusal is a JSON object with ``error``, one sentence.

Not LitServe, which needs FastAPI and uvicorn (its requirements.txt), loads the model in processes of its own and hands
requests over by queues (its server.py, `launch_inference_worker`): here one process has the model, no package comes with
it, requests are in the batches of `predict_async`, and limits of size and time hold from the first byte of a connection.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dynvision.errors import InputError, unknown_name
from dynvision.inference.inputs import Film, check_pixels
from dynvision.inference.limits import METHODS, Limits, Metrics, RefusedError
from dynvision.inference.prediction import ModelInferenceError, Prediction
from dynvision.inference.predictor import Predictor

logger = logging.getLogger(__name__)
OPTIONS = ("decision_threshold", "early_exit", "film", "frame_rate")
TRUTHS, TRUTH = ("early_exit", "film"), {"1": True, "true": True, "0": False, "false": False}
Reply = tuple[int, bytes, str, Mapping[str, str]]
CONNECTIONS = 4  # for each request that may be answered at once: some have not asked yet, or are refused
PASSED_BYTES = 2**16  # of a refused body, which are read at once and forgotten
INLINE = "script-src 'unsafe-inline'; style-src 'unsafe-inline'"
PAGE_RULES = f"default-src 'none'; {INLINE}; img-src blob: data:; connect-src 'self'"


class Server(ThreadingHTTPServer):
    """A server of one run. ``port=0`` takes a free one.

    Args:
        predictor: the run.
        host: address to listen at.
        port: port to listen at.
        limits: what it takes.

    Raises:
        InputError: it cannot listen there.
    """

    daemon_threads = False  # so that a stop waits for those that are being answered
    request_queue_size = 64

    def __init__(
        self, predictor: Predictor, host: str = "127.0.0.1", port: int = 8000, limits: Limits | None = None
    ) -> None:
        self.predictor, self.limits = predictor, limits or Limits()
        self.metrics, self.stopping = Metrics(), False
        self._places = threading.BoundedSemaphore(CONNECTIONS * self.limits.max_requests)
        self.alone = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server")  # requests with options
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError, TypeError) as error:
            raise InputError(
                f"nothing can listen at {host}:{port} ({error}); give another --host or --port"
            ) from None

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://{host}:{port}/"  # type: ignore[str-bytes-safe]

    def run(self) -> None:
        """Answer until Ctrl-C or SIGTERM; then take no more requests, answer those that have come, and return."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="server")
        thread.start()
        try:
            thread.join()
        except KeyboardInterrupt:
            logger.info("stopping; requests that have come are answered")
        finally:
            self.stop()
            thread.join()

    def stop(self) -> None:
        """Take no more requests, wait for those that are being answered, and end the model's thread."""
        self.stopping = True
        self.shutdown()
        self.server_close()
        self.alone.shutdown(wait=True)
        self.predictor.cleanup()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for a connection, if there are not too many; each is closed in time, so that places come free."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection, and free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a connection that broke: it is no error of the server."""
        logger.debug("connection of %s ended", client_address, exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version, sys_version = "dynvision", ""
    protocol_version = "HTTP/1.1"  # in which a client may ask before it sends a large body

    def handle_one_request(self) -> None:
        """Answer one request, if it arrives in time."""
        self.path, self._status, self._begin, self._awaited = "", 0, time.monotonic(), True
        self._late = threading.Timer(self.server.limits.receive_s, self._hang_up)
        self._late.daemon = True
        self._late.start()
        try:
            super().handle_one_request()
        finally:
            self._late.cancel()
            if self._status:
                path = urlsplit(self.path).path if self.path.startswith("/") else "other"
                self.server.metrics.add(path, self._status, time.monotonic() - self._begin)

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RD)

    def handle_expect_100(self) -> bool:
        """Let a body come that is taken; any other is refused before it comes."""
        with contextlib.suppress(RefusedError):
            self._length()
            super().handle_expect_100()
        return True

    def do_GET(self) -> None:
        """Answer with health, information, metrics, or the page; to HEAD without the body."""
        self._answer("GET")

    def do_POST(self) -> None:
        """Answer to an image or a film; refuse every other method."""
        self._answer("POST")

    do_HEAD = do_GET  # noqa: N815
    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_POST  # noqa: N815  # names that http.server looks for

    def _answer(self, method: str) -> None:
        try:
            reply = self._reply(method)
        except RefusedError as refused:
            reply = _as_json(refused.status, {"error": str(refused)}, refused.headers)
        except (BrokenPipeError, ConnectionError, TimeoutError):
            self.close_connection = True
            return
        except Exception:  # an error in one request is logged and does not end the server
            logger.exception("a request failed")
            reply = _as_json(500, {"error": "the server failed; its log has the reason"})
        self._send(*reply)
        if self._awaited and ("Content-Length" in self.headers or "Transfer-Encoding" in self.headers):
            self._let_pass()

    def _let_pass(self) -> None:
        """Read what is still being sent, until `receive_s`: who sends it would not read the answer otherwise, since a
        connection that is closed with unread bytes is reset."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while self.rfile.read1(PASSED_BYTES):
                pass

    def _reply(self, method: str) -> Reply:
        """Return status, body, content type and headers."""
        try:
            address = urlsplit(self.path)
        except ValueError:
            raise RefusedError(400, "the address cannot be read") from None
        allowed = METHODS.get(address.path)
        if allowed is None:
            raise RefusedError(404, f"there is no {address.path[:80]!r}; there are {', '.join(METHODS)}")
        if allowed != method or self.command not in (method, "HEAD"):
            raise RefusedError(405, f"{address.path} takes {allowed}", Allow=allowed)
        if address.path == "/predict":
            with self.server.metrics.one_more(self.server.limits.max_requests):
                return _as_json(200, self._predicted(self._body(), _options(address.query)))
        if address.path == "/health":
            stopping = self.server.stopping
            return _as_json(503 if stopping else 200, {"status": "stopping" if stopping else "ok"})
        if address.path == "/info":
            return _as_json(200, self._info())
        if address.path == "/metrics":
            text = self.server.metrics.text(self.server.predictor.get_performance_stats())
            return 200, text.encode(), "text/plain; version=0.0.4; charset=utf-8", {}
        page = files("dynvision.inference").joinpath("page.html").read_bytes()
        return 200, page, "text/html; charset=utf-8", {"Content-Security-Policy": PAGE_RULES}

    def _length(self) -> int:
        """Return the length of the body in bytes.

        Raises:
            RefusedError: it is not given, or too large.
        """
        limits = self.server.limits
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit()):
            raise RefusedError(411, "give the length of the body in Content-Length")
        if len(length) > 15 or int(length) > limits.max_bytes:
            raise RefusedError(413, f"a request has at most {limits.max_bytes} bytes")
        return int(length)

    def _body(self) -> bytes:
        """Read the body of the request.

        Raises:
            RefusedError: its length is not given, is too large, or it does not come in time.
        """
        length = self._length()
        body = self.rfile.read(length)
        self._awaited = False
        if len(body) < length:
            raise RefusedError(408, f"the body did not arrive within {self.server.limits.receive_s:g} s")
        self._late.cancel()
        return body

    def _predicted(self, body: bytes, options: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a body."""
        predictor, limits = self.server.predictor, self.server.limits
        film = options.pop("film", False) or "frame_rate" in options
        try:
            check_pixels(body, limits.max_pixels)
            shown: Any = Film(body, options.pop("frame_rate", None), limits.max_pixels) if film else body
            threshold = predictor.threshold(options.pop("decision_threshold", None))
            if options.get("early_exit"):
                future = self.server.alone.submit(
                    predictor.predict, shown, early_exit=True, decision_threshold=threshold
                )
            else:
                future = predictor.submit(shown)  # which others may share a batch with
            answer = future.result(limits.answer_s)
        except NotInTime:
            future.cancel()
            raise RefusedError(504, f"there was no answer within {limits.answer_s:g} s") from None
        except InputError as error:
            raise RefusedError(400, str(error)) from None
        except ModelInferenceError as error:
            raise RefusedError(500, f"the network cannot answer: {error}") from None
        assert isinstance(answer, Prediction)
        return replace(answer, decision_threshold=threshold).to_dict()

    def _info(self) -> dict[str, Any]:
        predictor = self.server.predictor
        about, info = predictor.metadata, predictor.model_info
        assert about is not None
        return {
            "run": about.name,
            "model": about.model_type,
            "version": about.version,
            "description": about.description,
            "input_shape": list(about.input_shape),
            "class_names": list(predictor._loaded_images().class_names),
            "dt_ms": predictor.model.network.dt,
            "decision_threshold": predictor.decision_threshold,
            "device": info["device"],
            "parameters": info["total_parameters"],
            "limits": vars(self.server.limits),
            "options": list(OPTIONS),
        }

    def _send(self, status: int, body: bytes, kind: str, headers: Mapping[str, str]) -> None:
        self._status, self.close_connection = status, True
        with contextlib.suppress(OSError):  # the client may be gone, or not read the answer
            self.connection.settimeout(self.server.limits.receive_s)
            self.send_response(status)
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
                "Connection": "close",
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is not valid HTTP."""
        self.command = getattr(self, "command", None) or "GET"
        self._send(*_as_json(code, {"error": message or "the request cannot be understood"}))

    def log_message(self, format: str, *values: Any) -> None:
        """Log requests for debugging alone, since they are counted."""
        logger.debug(format, *values)


def _as_json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Reply:
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace")
    return status, body, "application/json; charset=utf-8", headers or {}


def _options(query: str) -> dict[str, Any]:
    """Read the options of a request.

    Raises:
        RefusedError: an unknown one, one given twice, or a value that is not possible.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=10)
    except ValueError:
        raise RefusedError(400, "the options cannot be read") from None
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name not in OPTIONS:
            raise RefusedError(400, str(unknown_name("option", name[:80], OPTIONS)))
        if name in made:
            raise RefusedError(400, f"{name} is given twice")
        try:
            made[name] = TRUTH[value.lower()] if name in TRUTHS else float(value)
        except (KeyError, ValueError):
            kind = "0 or 1" if name in TRUTHS else "a number"
            raise RefusedError(400, f"{name}={value[:80]!r} must be {kind}") from None
    return made
