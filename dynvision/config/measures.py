"""The measures of responses that an experiment can list, by name. `dynvision.analysis` computes them."""

from __future__ import annotations

MEASURES: dict[str, str] = {
    "time_to_peak_ms": "time of the maximum after stimulus onset",
    "peak": "maximum response",
    "summed_response": "response summed over time, in units of response times ms",
}
