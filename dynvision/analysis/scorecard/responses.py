"""Phenomena of responses: what areas of cortex do in time, asked of the layers of a network.

`of="layer"` is asked of every layer, `of="hierarchy"` of all of them in their order. The statistics use the measures of
:mod:`dynvision.analysis` on the mean response over images, and its resamples.

Bands of targets span the areas and conditions that the source gives, or are .1 either way where it gives one number: two
studies of recovery in human V1 (Groen et al. 2022, Brands et al. 2024) differ by .14 (root mean square over six gaps), so a
number of one study is known to about .14 / sqrt 2 = .1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dynvision.analysis.bootstrap import mean_of_known
from dynvision.analysis.metrics import Protocol
from dynvision.analysis.scorecard.phenomena import (
    NOTICED,
    NOTICED_LOG,
    NOTICED_MS,
    Target,
    agreement,
    noticed,
    phenomenon,
    reversed_trend,
)
from dynvision.analysis.time_grid import sample_interval

GROEN = "Groen et al. (2022) J Neurosci 42:7562"
BRANDS = "Brands et al. (2024) PLOS Comput Biol"
ZHOU = "Zhou et al. (2018) J Neurosci 38:691"
SCHMOLESKY = "Schmolesky et al. (1998) J Neurophysiol 79:3272"
GERBER = "Gerber et al. (2017) NeuroImage 161:67"
STIGLIANI = "Stigliani et al. (2017) PNAS 114:E11047; Stigliani et al. (2019) PLOS Comput Biol 15:e1007011"
MUKAMEL = "Mukamel et al. (2004) Cereb Cortex 14:575"
NO_ROW = "layers whose summed response to a row of images is not above 0, or of rows of one length"
MULLEN = "Mullen et al. (2010) J Vision 10(13):13"
ECOG = "human ECoG, patterns"


def _noticed_ms(protocol: Protocol) -> float:
    return max(NOTICED_MS, sample_interval(protocol.axes["time_ms"]) / 2)


def _along(layers: Sequence[str], of: Callable[[str], np.ndarray]) -> np.ndarray:
    return np.stack([of(layer) for layer in layers], axis=-1)


# --- one pulse whose contrast varies ----------------------------------------------------------------------------------


@phenomenon("latency_falls_with_contrast", "Does latency fall with contrast?", "contrast", "layer", GROEN)
def latency_falls_with_contrast(protocol: Protocol, layer: str) -> np.ndarray:
    """Trend of the time to 90 % of the peak over contrasts, reversed."""
    return reversed_trend(agreement(protocol.of_layer("rise_time_ms", layer), _noticed_ms(protocol)))


@phenomenon(
    "response_grows_with_contrast", "Does the response grow with contrast?", "contrast", "layer", GROEN
)
def response_grows_with_contrast(protocol: Protocol, layer: str) -> np.ndarray:
    """Trend of the summed response over contrasts, in units of that at the highest."""
    return agreement(protocol.of_layer("summed_normalized", layer), NOTICED)


@phenomenon(
    "response_saturates_with_contrast",
    "Does the response saturate with contrast?",
    "contrast",
    "layer",
    GROEN,
    Target(0.245, 0.145, 0.345, "D", "V1", f"{ECOG}; mean of the summed power less the contrast"),
)
def response_saturates_with_contrast(protocol: Protocol, layer: str) -> np.ndarray:
    """Mean over contrasts below the highest of the summed response, less that of a proportional one."""
    part = protocol.values / protocol.values.max()
    above = protocol.of_layer("summed_normalized", layer) - part
    return noticed(mean_of_known(above[:, part < 1]))


@phenomenon(
    "response_is_transient",
    "Does the response fall while the stimulus is on?",
    "contrast",
    "layer",
    GROEN,
    Target(0.76, 0.66, 0.86, "R", "V1", f"{ECOG}; 1 - offset / peak at full contrast"),
)
def response_is_transient(protocol: Protocol, layer: str) -> np.ndarray:
    """1 - offset / peak at the highest contrast."""
    return noticed(1 - protocol.of_layer("sustained_ratio", layer)[:, np.argmax(protocol.values)])


@phenomenon(
    "transient_deepens_with_contrast",
    "Is the response more transient at high contrast?",
    "contrast",
    "layer",
    GROEN,
)
def transient_deepens_with_contrast(protocol: Protocol, layer: str) -> np.ndarray:
    """Trend of offset / peak over contrasts, reversed."""
    return reversed_trend(agreement(protocol.of_layer("sustained_ratio", layer), NOTICED))


@phenomenon(
    "onset_latency_grows_along_hierarchy",
    "Do later layers begin to respond later?",
    "contrast",
    "hierarchy",
    SCHMOLESKY,
)
def onset_latency_grows(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend of the onset latency at the highest contrast over layers."""
    highest = int(np.argmax(protocol.values))
    times = _along(layers, lambda layer: protocol.of_layer("onset_latency_ms", layer)[:, highest])
    return agreement(times, _noticed_ms(protocol))


@phenomenon(
    "contrast_matters_less_along_hierarchy",
    "Do later layers depend less on contrast?",
    "contrast",
    "hierarchy",
    GROEN,
)
def contrast_matters_less(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend over layers of the summed response below the highest contrast, in units of that at the highest."""
    below = protocol.values < protocol.values.max()
    kept = _along(
        layers,
        lambda layer: mean_of_known(protocol.of_layer("summed_normalized", layer)[:, below]),
    )
    return agreement(kept, NOTICED)


# --- one pulse whose duration varies ----------------------------------------------------------------------------------


@phenomenon(
    "summation_is_subadditive",
    "Is summation subadditive?",
    "duration",
    "layer",
    f"{ZHOU}; {GROEN}",
    Target(0.33, 0.23, 0.43, "D", "V1-V3", "human fMRI; 1 - the ratio of 100 to 200 ms"),
)
def summation_is_subadditive(protocol: Protocol, layer: str) -> np.ndarray:
    """1 - mean r_double over durations."""
    return noticed(1 - mean_of_known(protocol.of_layer("r_double", layer)))


@phenomenon(
    "latency_grows_along_hierarchy", "Does latency grow along the hierarchy?", "duration", "hierarchy", BRANDS
)
def latency_grows(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend of the time to 90 % of the peak at the longest duration over layers."""
    longest = int(np.argmax(protocol.values))
    times = _along(layers, lambda layer: protocol.of_layer("rise_time_ms", layer)[:, longest])
    return agreement(times, _noticed_ms(protocol))


@phenomenon(
    "width_grows_along_hierarchy", "Do responses widen along the hierarchy?", "duration", "hierarchy", BRANDS
)
def width_grows(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend of the width at half height after the shortest pulse over layers."""
    shortest = int(np.argmin(protocol.values))
    widths = _along(layers, lambda layer: protocol.of_layer("fwhm_ms", layer)[:, shortest])
    return agreement(widths, _noticed_ms(protocol))


@phenomenon(
    "time_constants_grow_along_hierarchy",
    "Do time constants grow along the hierarchy?",
    "duration",
    "hierarchy",
    BRANDS,
    cannot="layers whose delayed-normalisation fit ends on a bound, which leaves fewer than two",
)
def time_constants_grow(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Mean of the trends of log tau1 and log tau2 of the delayed-normalisation fits over layers."""
    trends = [
        agreement(
            np.log(_along(layers, lambda layer, name=name: protocol.of_layer(name, layer))),  # type: ignore[misc]
            NOTICED_LOG,
        )
        for name in ("dn_tau1_ms", "dn_tau2_ms")
    ]
    return (trends[0] + trends[1]) / 2


@phenomenon(
    "subadditivity_grows_along_hierarchy",
    "Is summation more subadditive in later layers?",
    "duration",
    "hierarchy",
    ZHOU,
)
def subadditivity_grows(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend of the mean r_double over layers, reversed."""
    doubling = _along(layers, lambda layer: mean_of_known(protocol.of_layer("r_double", layer)))
    return reversed_trend(agreement(doubling, NOTICED))


# --- one pulse that lasts long ----------------------------------------------------------------------------------------


def _slope(protocol: Protocol, layer: str) -> np.ndarray:
    """Slope of the width at half height on the duration, (1 + N,); NaN where a width is missing."""
    x = protocol.values - protocol.values.mean()
    widths = protocol.of_layer("fwhm_ms", layer)
    return widths @ x / (x @ x) if len(x) > 1 else np.full(len(widths), np.nan)


@phenomenon(
    "width_follows_duration",
    "Does the first layer respond as long as the stimulus lasts?",
    "long",
    "hierarchy",
    GERBER,
)
def width_follows_duration(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Slope of the width at half height on the duration of the stimulus, in the first layer."""
    return noticed(_slope(protocol, layers[0]))


@phenomenon(
    "width_follows_duration_less_along_hierarchy",
    "Does duration matter less to later layers?",
    "long",
    "hierarchy",
    GERBER,
)
def width_follows_duration_less(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend of this slope over layers, reversed."""
    return reversed_trend(agreement(_along(layers, lambda layer: _slope(protocol, layer)), NOTICED))


@phenomenon(
    "both_channels_contribute",
    "Is the response sustained and transient?",
    "long",
    "layer",
    STIGLIANI,
    cannot="layers whose summed response is not above 0, or of a single duration",
)
def both_channels_contribute(protocol: Protocol, layer: str) -> np.ndarray:
    """Smaller of the shares of a sustained and of a transient channel in the sum for the longest duration."""
    share = protocol.of_layer("sustained_share", layer)
    return noticed(np.minimum(share, 1 - share))


# --- two pulses whose gap varies --------------------------------------------------------------------------------------


@phenomenon(
    "second_response_is_reduced",
    "Is the response to a second pulse reduced?",
    "interval",
    "layer",
    f"{GROEN}; {BRANDS}",
    Target(0.585, 0.485, 0.685, "D", "V1", "two studies: .57 and .60 at a gap of 17 ms"),
)
def second_response_is_reduced(protocol: Protocol, layer: str) -> np.ndarray:
    """1 - recovery at the shortest gap above 0."""
    gaps = np.where(protocol.values > 0, protocol.values, np.inf)
    recovered = protocol.of_layer("recovery", layer)[:, np.argmin(gaps)]
    return noticed(1 - (recovered if np.isfinite(gaps).any() else np.full(len(recovered), np.nan)))


@phenomenon(
    "recovery_rises_with_gap", "Does recovery rise with the gap?", "interval", "layer", f"{GROEN}; {BRANDS}"
)
def recovery_rises_with_gap(protocol: Protocol, layer: str) -> np.ndarray:
    """Trend of the recovery over gaps."""
    return agreement(protocol.of_layer("recovery", layer), NOTICED)


@phenomenon(
    "recovery_falls_along_hierarchy",
    "Do later layers recover less from a first pulse?",
    "interval",
    "hierarchy",
    BRANDS,
    natural=True,  # for patterns, Groen et al. (2022) find it about the same in all areas
)
def recovery_falls(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend of the mean recovery over layers, reversed."""
    recovered = _along(layers, lambda layer: protocol.of_layer("mean_recovery", layer))
    return reversed_trend(agreement(recovered, NOTICED))


# --- a row of images whose number varies ------------------------------------------------------------------------------


def _of_one_image(protocol: Protocol, layer: str) -> np.ndarray:
    """Sum for the fewest images over that for the most, (1 + N,); NaN without a response to these, or with one number."""
    if len(protocol.values) < 2:
        return np.full(len(protocol.measure("summed_normalized")), np.nan)
    return protocol.of_layer("summed_normalized", layer)[:, np.argmin(protocol.values)]


@phenomenon(
    "rate_is_sublinear",
    "Is the response to four images less than four times as large?",
    "rate",
    "layer",
    MUKAMEL,
    cannot=NO_ROW,
)
def rate_is_sublinear(protocol: Protocol, layer: str) -> np.ndarray:
    """Summed response to the fewest images over that to the most, less that of proportional ones."""
    return noticed(_of_one_image(protocol, layer) - protocol.values.min() / protocol.values.max())


@phenomenon(
    "rate_matters_less_along_hierarchy",
    "Does the rate of images matter less to later layers?",
    "rate",
    "hierarchy",
    MUKAMEL,
    cannot=NO_ROW,
)
def rate_matters_less(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend over layers of the summed response to the fewest images over that to the most."""
    return agreement(_along(layers, lambda layer: _of_one_image(protocol, layer)), NOTICED)


# --- a flicker whose frequency varies ---------------------------------------------------------------------------------


@phenomenon(
    "fast_flicker_fades_along_hierarchy",
    "Do later layers follow fast flicker less?",
    "flicker",
    "hierarchy",
    MULLEN,
)
def fast_flicker_fades(protocol: Protocol, layers: Sequence[str]) -> np.ndarray:
    """Trend over layers of log F1 at the highest frequency over F1 at the lowest, reversed."""
    low, high = int(np.argmin(protocol.values)), int(np.argmax(protocol.values))

    def ratio(layer: str) -> np.ndarray:
        f1 = protocol.of_layer("f1", layer)
        with np.errstate(divide="ignore", invalid="ignore"):
            known = (f1[:, low] > 0) & (f1[:, high] > 0) & (low != high)
            return np.where(known, np.log(f1[:, high] / f1[:, low]), np.nan)

    return reversed_trend(agreement(_along(layers, ratio), NOTICED_LOG))
