"""Phenomena of behaviour: what people do when they decide what they see, asked of a network's decisions.

A decision is the end of a race between classes that accumulate their probability (:mod:`dynvision.analysis.decisions`).
Where speed counts the bound is low (`SPEED_MS` of certainty), where accuracy counts it is high (`ACCURACY_MS`). The six
signatures of Rafiei et al. (2024) are of people who recognise digits in noise at two levels and under two instructions:
decisions are stochastic, speed costs accuracy, hard images are slower and less accurate, reaction times are skewed to the
right, errors are slower than correct decisions, and confidence in them is lower. They are asked of the protocols `decision`
(levels of noise) and `repeats` (one image in noise drawn anew); the noise that changes in time takes the place of variable
neurons. The bounds are ours, and so are ms of people and of the network not the same ms: signs are compared.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from dynvision.analysis.bootstrap import mean_of_known, resampling_weights
from dynvision.analysis.decisions import RACE, Decisions, decide
from dynvision.analysis.metrics import N_DRAWS
from dynvision.analysis.registry import MEASURES, TABLES
from dynvision.analysis.scorecard.phenomena import (
    NOTICED,
    NOTICED_MS,
    PEOPLE,
    Target,
    agreement,
    noticed,
    phenomenon,
    reversed_trend,
)
from dynvision.analysis.tables import to_cube
from dynvision.analysis.time_grid import after_onset
from dynvision.errors import InputError

SPEED_MS, ACCURACY_MS = 20.0, 100.0  # of certainty
LEAST_ERRORS = 5  # images that are decided wrongly, below which errors have no mean
RAFIEI = "Rafiei et al. (2024) Nat Hum Behav 8:1752"
JANG = "Jang et al. (2021) PLOS Biol 19:e3001418"
# The numbers are of the conference abstract; the paper (2025, J Vision 25:4) has the method with other images.
SUBRAMANIAN = "Subramanian et al. (2022) J Vision 22:4359"
SORENSEN = "Sörensen et al. (2023) PLOS Comput Biol 19:e1011169"
ROLLS = "Rolls et al. (1999) J Cogn Neurosci 11:300"
RAJAEI = "Rajaei et al. (2019) PLOS Comput Biol 15:e1007001"
SEIJDEL = "Seijdel et al. (2021) J Neurosci 41:6281"
ADAPTED = "Brands et al. (2024) bioRxiv 2024.07.26.605075"
KAR = "Kar et al. (2019) Nat Neurosci 22:974"
FEW_ERRORS = f"fewer than {LEAST_ERRORS} errors, or as few correct decisions, at each signal fraction"


class Guesses:
    """The guesses of one run in one experiment.

    Args:
        performance: table of guesses of one run.

    Attributes:
        experiment: its name.
        values: values of the parameter, ascending, (V,).
        time_ms: times in ms, (T,).
    """

    def __init__(self, performance: pd.DataFrame) -> None:
        self.experiment = str(performance["experiment"].iloc[0])
        columns = [name for name, of in TABLES.items() if of == "performance" and name in performance]
        cube = to_cube(performance, ("value", "image", "time_ms"), (*columns, "stimulus_on"))
        self.values, self.time_ms = cube.axes["value"], cube.axes["time_ms"]
        n_images = len(cube.axes["image"])
        self._data = {**cube.data, "stimulus_on": cube.data["stimulus_on"][:, 0]}
        self._weights = resampling_weights(n_images, N_DRAWS if n_images > 1 else 0)
        self._decisions: dict[float, Decisions] = {}

    def mean(self, x: np.ndarray) -> np.ndarray:
        """Return the mean over images of (V, I), without NaN, and that of each resample: (1 + N, V)."""
        known = ~np.isnan(x)
        total = self._weights @ np.where(known, x, 0.0).T
        part = self._weights @ known.T.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(part > 0, total / part, np.nan)

    def measure(self, name: str) -> np.ndarray:
        """Return a measure of guesses, as the mean over images, and of each resample: (1 + N, V).

        Raises:
            InputError: the table has no column that the measure needs.
        """
        measure = MEASURES[name]
        self._require(need for need in measure.needs if need in TABLES)
        return self.mean(measure.compute({**self._data, "time_ms": self.time_ms, "value": self.values}))

    def peak_accuracy(self) -> np.ndarray:
        """Return the highest accuracy after onset at any one time, of all images and of each resample: (1 + N, V)."""
        recorded = self._data["correct"][..., after_onset(self.time_ms)].astype(np.float64)
        return np.stack([(self._weights @ of_value).max(axis=-1) for of_value in recorded], axis=1)

    def solved_ms(self) -> np.ndarray:
        """Return the time from which the guess is right until the image ends, (V, I); NaN where it is wrong at its end."""
        solved = np.full(self._data["correct"].shape[:2], np.nan)
        for v, on in enumerate(self._data["stimulus_on"]):
            shown = on & after_onset(self.time_ms)
            wrong = ~self._data["correct"][v][:, shown].astype(bool)
            if wrong.shape[1]:
                first = np.where(wrong.any(axis=1), wrong.shape[1] - wrong[:, ::-1].argmax(axis=1), 0)
                at = np.append(self.time_ms[shown], np.nan)
                solved[v] = at[first]
        return solved

    def decisions(self, bound_ms: float) -> Decisions:
        """Return what is decided at a bound of certainty.

        Raises:
            InputError: the table has no columns of the race.
        """
        self._require((*RACE, "evidence_guess"))
        if bound_ms not in self._decisions:
            self._decisions[bound_ms] = decide(self._data, self.time_ms, bound_ms)
        return self._decisions[bound_ms]

    def _require(self, columns: Iterable[str]) -> None:
        if missing := [name for name in columns if name not in self._data]:
            raise InputError(
                f"the guesses of {self.experiment} lack the columns {', '.join(missing)}; run the experiment again"
            )


def _hard_less_easy(guesses: Guesses, means: np.ndarray) -> np.ndarray:
    """Return means (1 + N, V) at the lowest signal fraction less those at the highest; NaN where there is one alone."""
    hard, easy = int(np.argmin(guesses.values)), int(np.argmax(guesses.values))
    return means[:, hard] - means[:, easy] if hard != easy else np.full(len(means), np.nan)


@phenomenon("accuracy_falls_with_noise", "Does noise cost accuracy?", "noise", "behaviour", JANG)
def accuracy_falls_with_noise(guesses: Guesses) -> np.ndarray:
    """Trend of the peak accuracy over signal fractions."""
    return agreement(guesses.peak_accuracy(), NOTICED)


@phenomenon(
    "hard_images_cost_accuracy",
    "Are images in more noise decided less well?",
    "decision",
    "behaviour",
    RAFIEI,
)
def hard_images_cost_accuracy(guesses: Guesses) -> np.ndarray:
    """Accuracy of decisions at the highest signal fraction, less that at the lowest."""
    right = guesses.mean(guesses.decisions(ACCURACY_MS).correct.astype(float))
    return noticed(0.0 - _hard_less_easy(guesses, right))


@phenomenon(
    "hard_images_take_longer", "Are images in more noise decided later?", "decision", "behaviour", RAFIEI
)
def hard_images_take_longer(guesses: Guesses) -> np.ndarray:
    """Mean reaction time at the lowest signal fraction, less that at the highest."""
    times = guesses.mean(guesses.decisions(ACCURACY_MS).rt_ms)
    return noticed(_hard_less_easy(guesses, times), NOTICED_MS)


@phenomenon("speed_costs_accuracy", "Does speed cost accuracy?", "decision", "behaviour", RAFIEI)
def speed_costs_accuracy(guesses: Guesses) -> np.ndarray:
    """Accuracy with the high bound, less that with the low one, averaged over signal fractions."""
    slow, fast = (
        guesses.mean(guesses.decisions(bound).correct.astype(float)) for bound in (ACCURACY_MS, SPEED_MS)
    )
    return noticed((slow - fast).mean(axis=1))


@phenomenon(
    "times_are_skewed_to_the_right",
    "Are reaction times skewed to the right?",
    "decision",
    "behaviour",
    RAFIEI,
)
def times_are_skewed(guesses: Guesses) -> np.ndarray:
    """Skewness of the reaction times, averaged over signal fractions."""
    times = guesses.decisions(ACCURACY_MS).rt_ms
    first, second, third = (guesses.mean(times**power) for power in (1, 2, 3))
    variance = second - first**2
    with np.errstate(divide="ignore", invalid="ignore"):
        skew = (third - 3 * first * second + 2 * first**3) / variance**1.5
    return noticed(mean_of_known(np.where(variance > 1e-9 * first**2, skew, np.nan)))


@phenomenon(
    "errors_are_slower",
    "Are errors slower than correct decisions?",
    "decision",
    "behaviour",
    RAFIEI,
    cannot=FEW_ERRORS,
)
def errors_are_slower(guesses: Guesses) -> np.ndarray:
    """Mean reaction time of errors less that of correct decisions, averaged over signal fractions."""
    made = guesses.decisions(ACCURACY_MS)
    return noticed(_errors_less_correct(guesses, made.rt_ms, made.correct), NOTICED_MS)


@phenomenon(
    "errors_are_less_confident",
    "Is there less confidence in errors?",
    "decision",
    "behaviour",
    RAFIEI,
    cannot=FEW_ERRORS,
)
def errors_are_less_confident(guesses: Guesses) -> np.ndarray:
    """Confidence in correct decisions less that in errors, averaged over signal fractions."""
    made = guesses.decisions(ACCURACY_MS)
    return noticed(0.0 - _errors_less_correct(guesses, made.confidence, made.correct))


def _errors_less_correct(guesses: Guesses, x: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Return the mean of errors less that of correct decisions, over values with enough of both, (1 + N,)."""
    known = ~np.isnan(x)
    wrong, right = (guesses.mean(np.where(which, x, np.nan)) for which in (~correct & known, correct & known))
    enough = np.minimum((~correct & known).sum(axis=1), (correct & known).sum(axis=1)) >= LEAST_ERRORS
    return mean_of_known(np.where(enough, wrong - right, np.nan))


@phenomenon(
    "decisions_are_stochastic",
    "Is the same image decided differently at times?",
    "repeats",
    "behaviour",
    RAFIEI,
)
def decisions_are_stochastic(guesses: Guesses) -> np.ndarray:
    """Part of the pairs of repetitions of an image that are decided differently."""
    chosen = guesses.decisions(ACCURACY_MS).choice
    first, second = np.triu_indices(len(chosen), 1)
    differs = (
        (chosen[first] != chosen[second]).mean(axis=0) if len(first) else np.full(chosen.shape[1], np.nan)
    )
    return noticed(guesses.mean(differs[None])[:, 0])


@phenomenon(
    "accuracy_grows_with_read_out_time",
    "Does accuracy grow with the time to answer?",
    "decision",
    "behaviour",
    SUBRAMANIAN,
    Target(
        0.51,
        0.41,
        0.61,
        "published",
        PEOPLE,
        "142 people and CIFAR-10: range of accuracy between 200 and 1000 ms; that of the best network there is .19",
    ),
)
def accuracy_grows_with_read_out_time(guesses: Guesses) -> np.ndarray:
    """Accuracy when the stimulus ends, less that when it begins, averaged over signal fractions."""
    return noticed(guesses.measure("speed_accuracy_range").mean(axis=1))


@phenomenon(
    "rsvp_needs_time",
    "In a row of images, does accuracy grow with the time for each?",
    "rsvp",
    "behaviour",
    SORENSEN,
)
def rsvp_needs_time(guesses: Guesses) -> np.ndarray:
    """Trend of the peak accuracy over durations of an image."""
    return agreement(guesses.peak_accuracy(), NOTICED)


@phenomenon(
    "masks_cost_accuracy", "Does a mask cost more, the earlier it comes?", "masking", "behaviour", ROLLS
)
def masks_cost_accuracy(guesses: Guesses) -> np.ndarray:
    """Trend of the accuracy of decisions over the time from the onset of the image to that of the mask."""
    return agreement(guesses.mean(guesses.decisions(ACCURACY_MS).correct.astype(float)), NOTICED)


@phenomenon("occlusion_costs_accuracy", "Does occlusion cost accuracy?", "occlusion", "behaviour", RAJAEI)
def occlusion_costs_accuracy(guesses: Guesses) -> np.ndarray:
    """Trend of the peak accuracy over the part that is hidden, reversed."""
    return reversed_trend(agreement(guesses.peak_accuracy(), NOTICED))


@phenomenon("occlusion_costs_time", "Does occlusion cost time?", "occlusion", "behaviour", RAJAEI)
def occlusion_costs_time(guesses: Guesses) -> np.ndarray:
    """Trend over the part that is hidden of the mean reaction time, with the low bound."""
    return agreement(guesses.mean(guesses.decisions(SPEED_MS).rt_ms), NOTICED_MS)


@phenomenon("clutter_costs_accuracy", "Does clutter cost accuracy?", "clutter", "behaviour", SEIJDEL)
def clutter_costs_accuracy(guesses: Guesses) -> np.ndarray:
    """Trend of the peak accuracy over the number of other images, reversed."""
    return reversed_trend(agreement(guesses.peak_accuracy(), NOTICED))


@phenomenon("clutter_costs_time", "Does clutter cost time?", "clutter", "behaviour", SEIJDEL)
def clutter_costs_time(guesses: Guesses) -> np.ndarray:
    """Trend over the number of other images of the mean reaction time, with the low bound."""
    return agreement(guesses.mean(guesses.decisions(SPEED_MS).rt_ms), NOTICED_MS)


@phenomenon(
    "adapted_noise_hides_less",
    "Is an object seen better in the noise that was adapted to?",
    "adapter",
    "behaviour",
    ADAPTED,
    cannot="one kind of noise alone",
)
def adapted_noise_hides_less(guesses: Guesses) -> np.ndarray:
    """Peak accuracy in the noise that was adapted to, less that in another noise."""
    accuracy = guesses.peak_accuracy()
    return noticed(_of_switch(guesses, accuracy, True) - _of_switch(guesses, accuracy, False))


@phenomenon(
    "challenge_images_are_solved_later",
    "Are images that a feedforward network fails on solved later?",
    "challenge",
    "behaviour",
    KAR,
    Target(30.0, 20.0, 40.0, "published", "IT", "macaque IT, decoded in bins of 10 ms", "ms"),
    cannot=f"a network that solves fewer than {LEAST_ERRORS} images on which its feedforward twin fails, or fewer than "
    f"{LEAST_ERRORS} that the twin solves as well; one without recurrence and feedback is its own twin",
)
def challenge_images_are_solved_later(guesses: Guesses) -> np.ndarray:
    """Mean time from which images are right that the feedforward twin has wrong, less that of those it has right."""
    solved = guesses.solved_ms()
    whole, twin = (_of_switch(guesses, solved.T, without) for without in (False, True))
    groups = [np.where(of_group, whole, np.nan) for of_group in (np.isnan(twin), ~np.isnan(twin))]
    if min((~np.isnan(group)).sum() for group in groups) < LEAST_ERRORS:
        return np.full(len(guesses.mean(solved)), np.nan)
    challenge, control = (guesses.mean(group[None])[:, 0] for group in groups)
    return noticed(challenge - control, NOTICED_MS)


def _of_switch(guesses: Guesses, x: np.ndarray, on: bool) -> np.ndarray:
    """Return the column of x (..., V) at the value 1 or 0 of a parameter that is on or off; NaN where it was not shown."""
    at = np.flatnonzero(guesses.values == float(on))
    return x[..., at[0]] if len(at) else np.full(x.shape[:-1], np.nan)
