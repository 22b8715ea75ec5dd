"""Questions with a yes or a no, asked before any number is compared.

    statistic > 0 is as in cortex. yes: and its 95 % interval over images lies above 0 (or there is none, with one image)
    unclear: the interval reaches 0.     no: statistic <= 0.     not measured: there is nothing to ask it of

The statistic of a trend is the share of pairs of conditions (or layers) that change as in cortex, less that of pairs that
change against it: Kendall's tau-a, with changes too small to matter counted as ties. Other statistics are differences, and
those too small to matter are 0. What is too small: 1 ms or half a sampling interval for times, .01 for fractions and ratios
(the reading error of most data), 5 % for fitted time constants. Latency is the time to 90 % of the peak: the maximum of a
response that does not fall again can be anywhere on its plateau.

Source of the statistic: Kendall (1938), Biometrika 30:81. The questions: Groen et al. (2022), Zhou et al. (2018), Brands et
al. (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dynvision.analysis.scorecard.protocol import Protocol
from dynvision.errors import taken_name

GROEN = "Groen et al. (2022) J Neurosci 42:7562"
BRANDS = "Brands et al. (2024) PLOS Comput Biol"
ZHOU = "Zhou et al. (2018) J Neurosci 38:691"
NOTICED = 0.01  # of fractions and ratios
NOTICED_MS = 1.0
NOTICED_LOG = 0.05  # of logarithms of time constants
Of = Literal["layer", "hierarchy"]


@dataclass(frozen=True)
class SignTest:
    """One question.

    Attributes:
        name: in tables.
        question: as a reader would ask it.
        protocol: the protocol that it is asked of.
        of: one layer, or the layers in their order.
        statistic: ``(protocol, layer) -> (1 + N,)``, or ``(protocol, layers) -> (1 + N,)``: the statistic, then that of
            resamples; NaN where there is no answer.
        source: who found it in cortex.
    """

    name: str
    question: str
    protocol: str
    of: Of
    statistic: Callable[..., np.ndarray]
    source: str


SIGN_TESTS: dict[str, SignTest] = {}


def register(
    name: str, question: str, protocol: str, of: Of, source: str
) -> Callable[[Callable[..., np.ndarray]], Callable[..., np.ndarray]]:
    """Make a statistic known as a sign test.

    Args:
        name: the name of the row in scorecards.
        question: what it asks, to be answered with yes or no.
        protocol: the experiment whose responses it is of: contrast, duration or interval.
        of: whether it is of each layer, or of all of them together.
        source: author, year, journal.

    Raises:
        InputError: the name is taken.
    """
    if name in SIGN_TESTS:
        raise taken_name("sign test", name)

    def add(statistic: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        SIGN_TESTS[name] = SignTest(name, question, protocol, of, statistic, source)
        return statistic

    return add


def agreement(x: np.ndarray, noticed: float) -> np.ndarray:
    """Kendall's tau-a of a series with its order: 1 if every later entry is higher, -1 if lower.

    Args:
        x: (N, K); entries that are NaN are left out.
        noticed: smaller differences are ties.

    Returns:
        (N,), NaN with fewer than two entries.
    """
    first, second = np.triu_indices(x.shape[1], 1)
    change = x[:, second] - x[:, first]
    known = ~np.isnan(change)
    sign = np.where(known & (np.abs(change) > noticed), np.sign(change), 0.0)
    n = known.sum(axis=1)
    return np.where(n > 0, sign.sum(axis=1) / np.maximum(n, 1), np.nan)


def verdict(statistic: float, low: float) -> str:
    """yes, no, unclear or not measured, from a statistic and the lower end of its interval."""
    if np.isnan(statistic):
        return "not measured"
    if statistic <= 0:
        return "no"
    return "unclear" if low <= 0 else "yes"


def _noticed(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) > NOTICED, x, np.where(np.isnan(x), np.nan, 0.0))


def _reversed(trend: np.ndarray) -> np.ndarray:
    return 0.0 - trend  # no negative zero


def _mean(x: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where there is nothing else."""
    known = ~np.isnan(x)
    n = known.sum(axis=-1)
    return np.where(n > 0, np.where(known, x, 0.0).sum(axis=-1) / np.maximum(n, 1), np.nan)


def _noticed_ms(protocol: Protocol) -> float:
    return max(NOTICED_MS, protocol.dt / 2)


@register("latency_falls_with_contrast", "Does latency fall with contrast?", "contrast", "layer", GROEN)
def latency_falls_with_contrast(protocol: Protocol, layer: str) -> np.ndarray:
    """Trend of the time to 90 % of the peak over contrasts, reversed."""
    return _reversed(agreement(protocol.of_layer("rise_time_ms", layer), _noticed_ms(protocol)))


@register("response_grows_with_contrast", "Does the response grow with contrast?", "contrast", "layer", GROEN)
def response_grows_with_contrast(protocol: Protocol, layer: str) -> np.ndarray:
    """Trend of the summed response over contrasts, in units of that at the highest."""
    return agreement(protocol.of_layer("summed_normalized", layer), NOTICED)


@register(
    "response_is_transient", "Does the response fall while the stimulus is on?", "contrast", "layer", GROEN
)
def response_is_transient(protocol: Protocol, layer: str) -> np.ndarray:
    """1 - offset / peak at the highest contrast."""
    return _noticed(1 - protocol.of_layer("sustained_ratio", layer)[:, np.argmax(protocol.values)])


@register("summation_is_subadditive", "Is summation subadditive?", "duration", "layer", f"{ZHOU}; {GROEN}")
def summation_is_subadditive(protocol: Protocol, layer: str) -> np.ndarray:
    """1 - mean r_double over durations."""
    return _noticed(1 - _mean(protocol.of_layer("r_double", layer)))


@register(
    "recovery_rises_with_gap", "Does recovery rise with the gap?", "interval", "layer", f"{GROEN}; {BRANDS}"
)
def recovery_rises_with_gap(protocol: Protocol, layer: str) -> np.ndarray:
    """Trend of the recovery over gaps."""
    return agreement(protocol.of_layer("recovery", layer), NOTICED)


def _along(protocol: Protocol, layers: Sequence[str], of: Callable[[str], np.ndarray]) -> np.ndarray:
    return np.stack([of(layer) for layer in layers], axis=-1)


@register(
    "latency_grows_along_hierarchy",
    "Does latency grow along the hierarchy?",
    "duration",
    "hierarchy",
    BRANDS,
)
def latency_grows(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend of the time to 90 % of the peak at the longest duration over layers."""
    longest = int(np.argmax(protocol.values))
    times = _along(protocol, layers, lambda layer: protocol.of_layer("rise_time_ms", layer)[:, longest])
    return agreement(times, _noticed_ms(protocol))


@register(
    "width_grows_along_hierarchy", "Do responses widen along the hierarchy?", "duration", "hierarchy", BRANDS
)
def width_grows(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend of the width at half height after the shortest pulse over layers."""
    shortest = int(np.argmin(protocol.values))
    widths = _along(protocol, layers, lambda layer: protocol.of_layer("fwhm_ms", layer)[:, shortest])
    return agreement(widths, _noticed_ms(protocol))


@register(
    "time_constants_grow_along_hierarchy",
    "Do time constants grow along the hierarchy?",
    "duration",
    "hierarchy",
    BRANDS,
)
def time_constants_grow(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Mean of the trends of log tau1 and log tau2 of the delayed-normalisation fits over layers."""
    trends = [
        agreement(
            np.log(_along(protocol, layers, lambda layer, name=name: protocol.of_layer(name, layer))),  # type: ignore[misc]
            NOTICED_LOG,
        )
        for name in ("dn_tau1_ms", "dn_tau2_ms")
    ]
    return (trends[0] + trends[1]) / 2


@register(
    "recovery_falls_along_hierarchy",
    "Do later layers recover less from a first pulse?",
    "interval",
    "hierarchy",
    BRANDS,
)
def recovery_falls(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend of the mean recovery over layers."""
    recovered = _along(protocol, layers, lambda layer: protocol.of_layer("mean_recovery", layer))
    return _reversed(agreement(recovered, NOTICED))


@register(
    "subadditivity_grows_along_hierarchy",
    "Is summation more subadditive in later layers?",
    "duration",
    "hierarchy",
    ZHOU,
)
def subadditivity_grows(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend of the mean r_double over layers."""
    doubling = _along(protocol, layers, lambda layer: _mean(protocol.of_layer("r_double", layer)))
    return _reversed(agreement(doubling, NOTICED))


def ask(
    test: SignTest, protocols: Mapping[str, Protocol], layers: Sequence[str]
) -> list[tuple[str, np.ndarray]]:
    """The statistic of a test for each layer, or for all of them; nothing where its protocol was not shown."""
    protocol = protocols.get(test.protocol)
    if protocol is None:
        return []
    if test.of == "layer":
        return [(layer, test.statistic(protocol, layer)) for layer in layers]
    return [(" < ".join(layers), test.statistic(protocol, list(layers)))] if len(layers) > 1 else []
