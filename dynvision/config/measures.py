"""The measures that an experiment can list, by name. `dynvision.analysis` computes them."""

from __future__ import annotations

MEASURES: dict[str, str] = {
    "time_to_peak_ms": "time of the maximum after stimulus onset",
    "peak": "maximum response",
    "summed_response": "response summed over time, in units of response times ms",
    "onset_latency_ms": "time at which the response leaves its baseline",
    "rise_time_ms": "time until the response reaches nine tenths of its peak",
    "fwhm_ms": "time around the peak in which the response is above half of its height",
    "sustained_ratio": "response at stimulus offset over the peak",
    "peak_ratio": "later over earlier of the two highest peaks",
    "summed_normalized": "summed response over that at the highest value of the parameter",
    "r_double": "summed response to a duration over twice that to half of it",
    "summation_exponent": "slope of log summed response on log duration",
    "recovery": "response to a second pulse over that to the first, by gap",
    "mean_recovery": "recovery averaged over gaps",
    "c50": "contrast of half the peak at the highest contrast",
    "naka_rushton_rmax": "Rmax of the Naka-Rushton fit",
    "naka_rushton_c50": "c50 of the Naka-Rushton fit",
    "naka_rushton_n": "exponent of the Naka-Rushton fit",
    "dn_tau1_ms": "tau1 of the delayed-normalisation fit",
    "dn_tau2_ms": "tau2 of the delayed-normalisation fit",
    "dn_n": "exponent of the delayed-normalisation fit",
    "dn_sigma": "sigma of the delayed-normalisation fit",
    "dn_latency_ms": "latency of the delayed-normalisation fit",
    "dn_r_squared": "explained variance of the delayed-normalisation fit",
    "reaction_time_confidence_ms": "time at which the probability of one class reaches one half",
    "reaction_time_entropy_ms": "time at which the entropy of the classes falls to that of two",
}
DEFAULT_MEASURES = ("time_to_peak_ms", "peak", "summed_response")
