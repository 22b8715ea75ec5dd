"""The bootstrap against the theory of the mean."""

import numpy as np
import pytest

from dynvision.analysis import bootstrap_interval
from dynvision.analysis.bootstrap import lower_median, median_interval


def test_interval_of_normal_samples_is_two_standard_errors_wide():
    samples = np.random.default_rng(1).normal(3.0, 2.0, size=(2000, 3))
    low, high = bootstrap_interval(samples, n_resamples=4000)
    np.testing.assert_allclose(high - low, 2 * 1.96 * samples.std(axis=0) / np.sqrt(2000), rtol=0.06)
    assert (low < samples.mean(axis=0)).all() and (samples.mean(axis=0) < high).all()


def test_coverage_is_about_what_it_says():
    generator = np.random.default_rng(2)
    samples = generator.exponential(1.0, size=(100, 600))  # 600 experiments of 100 images with mean 1
    low, high = bootstrap_interval(samples, n_resamples=600)
    assert np.mean((low <= 1) & (high >= 1)) == pytest.approx(0.95, abs=0.03)


def test_it_is_seeded():
    samples = np.random.default_rng(3).random((30, 4))
    np.testing.assert_array_equal(bootstrap_interval(samples), bootstrap_interval(samples))
    assert not np.array_equal(bootstrap_interval(samples, seed=1), bootstrap_interval(samples, seed=2))


def test_missing_values_are_left_out():
    values = np.random.default_rng(4).random((200, 1))
    padded = np.full((200, 2), np.nan)
    padded[:, 0] = values[:, 0]
    padded[:100, 1] = values[:100, 0]
    low, high = bootstrap_interval(padded, n_resamples=4000)
    half_low, half_high = bootstrap_interval(values[:100], n_resamples=4000)
    assert low[1] == pytest.approx(half_low[0], abs=0.01) and high[1] == pytest.approx(half_high[0], abs=0.01)


def test_one_image_has_no_interval_and_equal_images_have_none_to_speak_of():
    assert np.isnan(bootstrap_interval(np.ones((1, 2)))).all()
    assert np.isnan(bootstrap_interval(np.array([[1.0], [np.nan]]))).all()
    np.testing.assert_allclose(bootstrap_interval(np.full((9, 2), 0.7)), 0.7)


def test_median_interval_is_that_of_medians_of_images_drawn_again():
    samples = np.random.default_rng(5).normal(size=(31, 2))
    samples[:7, 1] = np.nan
    low, high = median_interval(samples, n_resamples=300, seed=2)
    generator = np.random.default_rng(2)
    drawn = np.concatenate(
        [generator.multinomial(31, np.full(31, 1 / 31), size=n) for n in (250, 50)]  # as many at a time
    )
    medians = np.array([lower_median(np.repeat(samples, counts, axis=0)) for counts in drawn])
    np.testing.assert_array_equal((low, high), np.quantile(medians, [0.025, 0.975], axis=0))


def test_a_median_is_a_value_that_occurs():
    samples = np.array([[8.0, np.nan], [38.0, np.nan], [8.0, 5.0], [38.0, np.nan]])
    np.testing.assert_array_equal(lower_median(samples), [8.0, 5.0])
    assert np.isnan(lower_median(samples[:2])[1]) and np.isnan(median_interval(samples)[0][1])
