"""The limits of a server, the refusal of requests beyond them, and counts of requests for Prometheus."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dynvision.errors import InputError

METHODS = {"/": "GET", "/health": "GET", "/info": "GET", "/metrics": "GET", "/predict": "POST"}
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
        max_bytes: of a request.
        max_pixels: of an image, or of a frame.
        receive_s: until a request must have arrived, and the answer have been taken, in s.
        answer_s: until it must have been answered, in s.
        max_requests: at once; further ones are refused with status 503.
    """

    max_bytes: int = 16 * 2**20
    max_pixels: int = 2**24
    receive_s: float = 10.0
    answer_s: float = 30.0
    max_requests: int = 64

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise InputError(f"{name}={value!r} must be above 0")


class RefusedError(Exception):
    """A request that is not answered: its status, and one sentence."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status, self.headers = status, headers


class Metrics:
    """Counts and times of requests; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: Counter[float] = Counter()
        self._seconds = 0.0
        self.in_flight = 0

    @contextlib.contextmanager
    def one_more(self, most: int) -> Iterator[None]:
        """Count a request while it is answered.

        Raises:
            RefusedError: there are too many at once.
        """
        with self._lock:
            if self.in_flight >= most:
                raise RefusedError(
                    503, f"{most} requests are being answered; try again later", **{"Retry-After": "1"}
                )
            self.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def add(self, path: str, status: int, seconds: float) -> None:
        """Count a request that has been answered or refused."""
        with self._lock:
            self._requests[path if path in METHODS else "other", status] += 1
            if path == "/predict":
                self._seconds += seconds
                self._buckets.update(edge for edge in (*BUCKETS_S, math.inf) if seconds <= edge)

    def text(self, stats: dict[str, Any]) -> str:
        """Return all counts, and the forward passes of a model's statistics, in the text format of Prometheus."""
        with self._lock:
            lines = ["# TYPE dynvision_requests_total counter"]
            lines += [
                f'dynvision_requests_total{{path="{path}",status="{status}"}} {n}'
                for (path, status), n in sorted(self._requests.items())
            ]
            lines.append("# TYPE dynvision_request_seconds histogram")
            for edge in (*BUCKETS_S, math.inf):
                name = "+Inf" if edge == math.inf else f"{edge:g}"
                lines.append(f'dynvision_request_seconds_bucket{{le="{name}"}} {self._buckets[edge]}')
            lines.append(f"dynvision_request_seconds_sum {self._seconds:.6f}")
            lines.append(f"dynvision_request_seconds_count {self._buckets[math.inf]}")
            lines += ["# TYPE dynvision_in_flight gauge", f"dynvision_in_flight {self.in_flight}"]
        forward = stats.get("forward_time", {"count": 0, "mean": 0.0})
        lines.append("# TYPE dynvision_forward_seconds summary")
        lines.append(f"dynvision_forward_seconds_sum {forward['count'] * forward['mean']:.6f}")
        lines.append(f"dynvision_forward_seconds_count {forward['count']}")
        return "\n".join(lines) + "\n"
