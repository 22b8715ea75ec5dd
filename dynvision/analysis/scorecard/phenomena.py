"""Phenomena of cortex and of people: each is a question with a yes or a no, asked before any number is compared.

    statistic > 0 is as in cortex. yes: and its 95 % interval over images lies above 0 (or there is none, with one image)
    unclear: the interval reaches 0.     no: statistic <= 0.     not measured: there is nothing to ask it of

The statistic of a trend is the share of pairs of conditions (or layers) that change as in cortex, less that of pairs that
change against it: Kendall's tau-a, with changes too small to matter counted as ties. Other statistics are differences, and
those too small to matter are 0. What is too small: 1 ms or half a sampling interval for times, .01 for fractions and ratios
(the reading error of most data), 5 % for fitted time constants. Latency is the time to 90 % of the peak: the maximum of a
response that does not fall again can be anywhere on its plateau.

    p = (1 + number of resamples with a statistic <= 0) / (1 + number of resamples)
    q = p after correction for the number of questions of a scorecard (Benjamini & Hochberg 1995)

A phenomenon is one definition: its source, the protocol, the test, and, where a number of it is known, that number with a
band. Definitions of responses are in :mod:`dynvision.analysis.scorecard.responses`, of decisions in
:mod:`dynvision.analysis.scorecard.behaviour`.

Sources of the statistics: Kendall (1938), Biometrika 30:81; Benjamini & Hochberg (1995), J R Stat Soc B 57:289; the p of a
bootstrap: Davison & Hinkley (1997), Bootstrap Methods and their Application, sec. 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import false_discovery_control

from dynvision.config.measures import PROTOCOLS
from dynvision.errors import InputError, unknown_name
from dynvision.registry import Registry

NOTICED = 0.01  # of fractions and ratios
NOTICED_MS = 1.0
NOTICED_LOG = 0.05  # of logarithms of time constants
LEVEL = 0.05  # of a false discovery
PEOPLE = "human observers"  # in place of an area of cortex
Of = Literal["layer", "hierarchy", "behaviour"]
Statistic = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Target:
    """What is known of a statistic, in its own unit.

    Attributes:
        value: in cortex, or of people.
        low, high: the band within which the value is known.
        provenance: published, R, D or M, as in the tables of targets.
        area: area of cortex, or "human observers".
        note: what was recorded.
        unit: of the value; of times, the distance is log2 of the ratio.
    """

    value: float
    low: float
    high: float
    provenance: str
    area: str
    note: str = ""
    unit: str = "fraction"


@dataclass(frozen=True)
class Phenomenon:
    """One question.

    Attributes:
        name: in tables.
        question: as a reader would ask it.
        protocol: the protocol that it is asked of.
        of: one layer, the layers in their order, or the decisions of the network.
        statistic: of a layer ``(protocol, layer)``, of the hierarchy ``(protocol, layers)``, with a
            :class:`dynvision.analysis.metrics.Protocol`; of behaviour ``(guesses)``, with
            :class:`dynvision.analysis.scorecard.behaviour.Guesses`. Returns (1 + N,): the statistic, then that of
            resamples; NaN where there is no answer.
        source: who found it.
        target: its value in cortex or in people; None where only the sign is compared.
        natural: whether it was found with natural images and not with patterns; it is then not asked of other images.
        cannot: of what it cannot be asked, to follow "cannot be asked of": why there may be no statistic.
    """

    name: str
    question: str
    protocol: str
    of: Of
    statistic: Statistic
    source: str
    target: Target | None = None
    natural: bool = False
    cannot: str = ""


PHENOMENA: Registry[Phenomenon] = Registry("phenomenon", package="dynvision.analysis.scorecard")


def phenomenon(
    name: str,
    question: str,
    protocol: str,
    of: Of,
    source: str,
    target: Target | None = None,
    **facts: Any,
) -> Callable[[Statistic], Statistic]:
    """Make a statistic known as a phenomenon. The arguments are the attributes of :class:`Phenomenon`.

    Raises:
        InputError: the name is taken, the protocol is not known, or the band does not hold the target.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    if target is not None and not target.low <= target.value <= target.high:
        raise InputError(
            f"target of {name}: the band from {target.low:g} to {target.high:g} does not hold {target.value:g}"
        )

    def add(statistic: Statistic) -> Statistic:
        PHENOMENA.add(name, Phenomenon(name, question, protocol, of, statistic, source, target, **facts))
        return statistic

    return add


def agreement(x: np.ndarray, noticed: float) -> np.ndarray:
    """Return Kendall's tau-a of a series with its order: 1 if every later entry is higher, -1 if lower.

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


def reversed_trend(trend: np.ndarray) -> np.ndarray:
    """Return a trend that is as in cortex where it falls."""
    return 0.0 - trend  # no negative zero


def noticed(x: np.ndarray, least: float = NOTICED) -> np.ndarray:
    """Return differences, 0 where they are too small to matter."""
    return np.where(np.abs(x) > least, x, np.where(np.isnan(x), np.nan, 0.0))


def verdict(statistic: float, low: float) -> str:
    """Return yes, no, unclear or not measured, from a statistic and the lower end of its interval."""
    if np.isnan(statistic):
        return "not measured"
    if statistic <= 0:
        return "no"
    return "unclear" if low <= 0 else "yes"


def p_of(draws: np.ndarray) -> float:
    """Return the probability of a statistic that is not above 0, of itself and its resamples (1 + N,); NaN without them."""
    known = draws[1:][~np.isnan(draws[1:])]
    if np.isnan(draws[0]) or not len(known):
        return float("nan")
    return float((1 + (known <= 0).sum()) / (1 + len(known)))


def corrected(p: np.ndarray) -> np.ndarray:
    """Return q, the p of several questions corrected for their number; NaN stays and counts as no question."""
    asked = ~np.isnan(p)
    q = np.full(len(p), np.nan)
    if asked.any():
        q[asked] = false_discovery_control(p[asked], method="bh")
    return q
