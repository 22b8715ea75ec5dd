"""Object solution times on made data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from dynvision.errors import InputError
from dynvision.sharing.solution_times import (
    BINS_MS,
    agreement,
    decoded,
    first_crossings,
    image_performance,
    solution_times,
)


def test_bins_are_those_of_the_paper() -> None:
    assert (len(BINS_MS), BINS_MS[0], BINS_MS[-1]) == (18, (70, 80), (240, 250))


def test_crossings_are_interpolated() -> None:
    courses = np.array([[0, 1, 2.0], [0, 0, 0], [3, 0, 0], [0, 4, 0]])
    found = first_crossings(courses, np.array([1.5, 1, 2, 1]), np.array([75.0, 85, 95]))
    assert np.allclose(found, [90, np.nan, 75, 77.5], equal_nan=True)


def test_performance_of_two_objects_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    alarms_a, alarms_b = np.mean([0.3, 0.1]), np.mean([0.1, 0.4])
    wanted = [norm.ppf(0.9) - norm.ppf(alarms_a), norm.ppf(0.6) - norm.ppf(alarms_a)]
    wanted += [norm.ppf(0.7) - norm.ppf(alarms_b), norm.ppf(0.9) - norm.ppf(alarms_b)]
    assert np.allclose(image_performance(probabilities, ["a", "a", "b", "b"]), wanted)


def test_performance_of_three_objects_is_of_pairs() -> None:
    probabilities = np.array([[0.5, 0.25, 0.25], [0.2, 0.6, 0.2], [0.1, 0.3, 0.6]])
    hit = np.mean([0.5 / 0.75, 0.5 / 0.75])
    alarm = np.mean([0.2 / 0.8, 0.1 / 0.7])
    assert image_performance(probabilities, [0, 1, 2])[0] == pytest.approx(norm.ppf(hit) - norm.ppf(alarm))


def test_what_is_certain_is_cut_off() -> None:
    assert list(image_performance(np.eye(2), ["a", "b"])) == [5, 5]


def made(seed: int = 0) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Responses in which the object of an image appears at a bin of its own, and these bins."""
    rng = np.random.default_rng(seed)
    labels = [k % 3 for k in range(90)]
    onsets = rng.integers(2, 16, 90)
    responses = rng.normal(0, 0.05, (90, 12, len(BINS_MS)))
    for image, (label, onset) in enumerate(zip(labels, onsets, strict=True)):
        responses[image, 4 * label : 4 * label + 4, onset:] += 1
    return responses, labels, onsets


def test_an_image_is_solved_when_its_object_appears() -> None:
    """Where decoders have seen enough images with an object, an image is solved in the bin in which it has its own."""
    responses, labels, onsets = made()
    times = solution_times(responses, labels, np.full(90, 1.9), n_folds=5)
    middles = np.array([(start + end) / 2 for start, end in BINS_MS])
    late = onsets > 4
    assert np.isfinite(times[late]).all()
    early = (
        middles[onsets[late]] - times[late]
    )  # by less than a bin, between which the course is interpolated
    assert (early >= 0).all() and np.mean(early < 10) > 0.8 and early.max() < 25
    assert agreement(times, middles[onsets]) > 0.95


def test_noise_is_not_solved_and_delays_are_found() -> None:
    responses, labels, _ = made()
    noise = np.random.default_rng(1).normal(size=responses.shape)
    assert np.isfinite(solution_times(noise, labels, np.full(90, 4.0), n_folds=5)).mean() < 0.2
    late = np.concatenate([responses[:, :, :1]] * 2 + [responses[:, :, :-2]], axis=2)  # 20 ms later
    one, other = (solution_times(each, labels, np.full(90, 1.9), n_folds=5) for each in (responses, late))
    both = np.isfinite(one) & np.isfinite(other)
    assert np.median((other - one)[both]) == pytest.approx(20, abs=0.5)


def test_agreement_is_spearman_of_what_both_solve() -> None:
    one, other = np.array([80, 90, np.nan, 120, 100.0]), np.array([82, 95, 100, np.nan, 99.0])
    assert agreement(one, other) == spearmanr([80, 90, 100], [82, 95, 99]).statistic
    assert np.isnan(agreement(one[:2], other[:2]))


def test_folds_are_without_the_image() -> None:
    """One image of another object's pattern: had it been among those of the fit, it would be known."""
    rng = np.random.default_rng(0)
    labels = [k // 20 for k in range(40)]
    responses = rng.normal(size=(40, 400))
    right = decoded(responses, labels, 5)[np.arange(40), labels]
    assert (
        abs(right.mean() - 0.5) < 0.15
    )  # in more dimensions than images everything could be learned by heart


@pytest.mark.parametrize(
    ("shape", "labels", "said"),
    [
        ((4, 2, 3), [0, 1, 0, 1], "18 bins"),
        ((4, 2, 18), [0, 1], "must be as many"),
        ((4, 2, 18), [0, 0, 1, 1], "10 folds"),
    ],
    ids=str,
)
def test_what_is_refused(shape: tuple[int, ...], labels: list[int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        solution_times(np.zeros(shape), labels, np.zeros(shape[0]))
