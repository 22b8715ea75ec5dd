"""Comparisons equal rsatoolbox and scikit-learn, and find a known layer, lag and ceiling in a made recording."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from dynvision.errors import InputError
from dynvision.recordings import compare
from dynvision.recordings.data import repetitions
from dynvision.recordings.encoding import encode, ridge_predictions
from dynvision.recordings.significance import best_lag_ms, permutation_clusters, sign_flip_clusters
from dynvision.recordings.similarity import (
    compare_films,
    crossnobis_distances,
    linear_cka,
    noise_ceiling,
    rdm_film,
)
from tests.recordings.made import STEP_MS, network, patterns, recording

rsatoolbox = pytest.importorskip("rsatoolbox")


@pytest.mark.parametrize("distance", ["correlation", "euclidean"])
def test_distances_equal_those_of_rsatoolbox(distance: str) -> None:
    x = patterns(9, 15, 4, 0.5, seed=1)
    film = rdm_film(x, distance)
    for step in range(4):
        theirs = rsatoolbox.rdm.calc_rdm(
            rsatoolbox.data.Dataset(x[:, :, step].astype(float)), method=distance
        )
        assert np.allclose(film[step], theirs.dissimilarities[0], atol=1e-6)


def test_crossnobis_equals_that_of_rsatoolbox_and_is_unbiased() -> None:
    random = np.random.default_rng(0)
    folds = random.normal(size=(4, 6, 20))
    ours = crossnobis_distances(folds[:, None])[0]
    data = rsatoolbox.data.Dataset(
        folds.reshape(-1, 20),
        obs_descriptors={"image": np.tile(np.arange(6), 4), "fold": np.repeat(np.arange(4), 6)},
    )
    theirs = rsatoolbox.rdm.calc_rdm_crossnobis(data, descriptor="image", cv_descriptor="fold")
    assert np.allclose(ours, theirs.dissimilarities[0], atol=1e-6)
    many = random.normal(size=(4, 200, 6, 20))
    assert abs(crossnobis_distances(many).mean()) < 0.02
    with pytest.raises(InputError, match="two repetitions"):
        crossnobis_distances(folds[:1, None])


@pytest.mark.parametrize(
    ("score", "method"), [("correlation", "corr"), ("spearman", "spearman"), ("cosine", "cosine")]
)
def test_scores_of_all_pairs_of_times_equal_those_of_rsatoolbox(score: str, method: str) -> None:
    model, brain = (rdm_film(patterns(9, 15, n, 0.5, seed)) for n, seed in ((4, 1), (5, 2)))
    theirs = rsatoolbox.rdm.compare(rsatoolbox.rdm.RDMs(model), rsatoolbox.rdm.RDMs(brain), method=method)
    assert np.allclose(compare_films(model, brain, score), theirs, atol=1e-6)


@pytest.mark.parametrize(("score", "method"), [("correlation", "corr"), ("cosine", "cosine")])
def test_the_noise_ceiling_equals_that_of_rsatoolbox(score: str, method: str) -> None:
    films = np.stack(
        [rdm_film(patterns(9, 15, 1, 0.5, 1) + 0.5 * patterns(9, 15, 1, 0.5, seed)) for seed in range(2, 7)]
    )
    lower, upper = noise_ceiling(films, score)
    expected = rsatoolbox.inference.boot_noise_ceiling(
        rsatoolbox.rdm.RDMs(films[:, 0]), method=method, rdm_descriptor="index"
    )
    assert np.allclose((lower[0], upper[0]), expected, atol=1e-6)


def test_ridge_equals_that_of_scikit_learn_and_generalises() -> None:
    random = np.random.default_rng(0)
    x, new, weights = random.normal(size=(40, 8)), random.normal(size=(10, 8)), random.normal(size=(8, 3))
    y = x @ weights + 0.1 * random.normal(size=(40, 3)) + 5
    for alpha, ours in zip((0.1, 10.0), ridge_predictions(x, y, new, (0.1, 10.0)), strict=True):
        assert np.allclose(ours, Ridge(alpha).fit(x, y).predict(new), atol=1e-6)
    scores = encode(x[:, :, None], np.stack([y, random.normal(size=y.shape)], axis=2))
    assert scores.shape == (1, 2) and scores[0, 0] > 0.95 and scores[0, 1] < 0.3


def test_cka_is_one_for_a_rotation_and_equals_its_definition() -> None:
    x = patterns(10, 6, 2, 0.5, 1).astype(float)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    assert np.allclose(np.diag(linear_cka(x, np.einsum("nut,uv->nvt", 3 * x, rotation))), 1)
    y = patterns(10, 4, 2, 0.5, 2).astype(float)
    a, b = (z[:, :, 0] - z[:, :, 0].mean(axis=0) for z in (x, y))
    norm = np.linalg.norm
    assert np.isclose(linear_cka(x, y)[0, 0], norm(a.T @ b) ** 2 / (norm(a.T @ a) * norm(b.T @ b)))


@pytest.mark.parametrize("method", ["rsa", "cka", "encoding"])
@pytest.mark.parametrize("lag", [0, 3])
def test_a_made_recording_gives_its_layer_and_lag(method: str, lag: int) -> None:
    model = network(n_images=16)
    brain = recording(model, "IT", lag)
    found = compare(model, brain, method=method, n_permutations=0).lags.set_index("layer")
    assert found.loc["IT", "lag_ms"] == lag * STEP_MS
    assert found.loc["IT", "best_score"] > found.loc["V1", "best_score"] + 0.2


def test_the_ceiling_bounds_the_true_network_and_noise_lowers_it() -> None:
    model = network()
    low = [
        compare(model, recording(model, "IT", 0, noise), n_permutations=0).scores["ceiling_low"].max()
        for noise in (0.05, 1.0)
    ]
    assert low[0] > 0.95 and low[1] < 0.6


def test_significance_holds_where_the_network_is_right_and_rarely_elsewhere() -> None:
    model = network()
    found = compare(model, recording(model, "IT", 0), n_permutations=100, seed=1)
    scores, lags = found.scores, found.lags.set_index("layer")["lag_ms"]
    assert lags["IT"] == 0 and (np.isnan(lags["V1"]) or scores[scores["layer"] == "V1"]["significant"].any())
    same = scores[(scores["layer"] == "IT") & (scores["model_ms"] == scores["brain_ms"])]
    assert same["significant"].mean() > 0.8
    other = scores[scores["layer"] == "V1"]
    assert other["significant"].mean() < 0.05


def test_clusters_keep_their_rate_of_false_alarms() -> None:
    random = np.random.default_rng(0)
    hits = [
        sign_flip_clusters(random.normal(size=(12, 30)), 100, seed).significant().any() for seed in range(60)
    ]
    assert np.mean(hits) <= 0.15
    assert sign_flip_clusters(random.normal(size=(12, 30)) + 1.5, 200).significant().mean() > 0.9
    with pytest.raises(InputError, match="too few"):
        permutation_clusters(np.zeros(3), lambda r: np.zeros(3), n_permutations=5)


def test_a_lag_is_that_of_the_best_diagonal() -> None:
    times = STEP_MS * np.arange(10)
    scores = np.zeros((10, 10))
    scores[np.arange(8), np.arange(8) + 2] = 1
    assert best_lag_ms(scores, times, times) == 2 * STEP_MS
    assert np.isnan(best_lag_ms(np.full((10, 10), np.nan), times, times))


def test_what_cannot_be_compared_is_one_sentence() -> None:
    model = network()
    brain = recording(model, "IT", 0)
    with pytest.raises(InputError, match="unknown method of comparison 'rdm'"):
        compare(model, brain, method="rdm")
    with pytest.raises(InputError, match="unknown layer 'V9'"):
        compare(model, brain, layers=["V9"])
    stranger = brain.assign_coords(
        image=("presentation", [f"cat{i}" for i in range(brain.sizes["presentation"])])
    )
    with pytest.raises(
        InputError, match="0 images in common.*the network knows 0, 1, 10 and 9 more, the recording cat0"
    ):
        compare(model, stranger)


def test_the_ceiling_is_of_the_distance_that_is_scored() -> None:
    """Of pure noise, cross-validated distances agree with nothing, and plain ones would with their common bias."""
    model = network()
    brain = recording(model, "IT", 0, noise=0.05, n_repetitions=4)
    clean = compare(model, brain, distance="crossnobis", n_permutations=0, layers=["IT"]).scores
    assert clean["ceiling_low"].median() > 0.95
    repeated = repetitions(brain)
    halves = [rdm_film(half, "crossnobis") for half in (repeated[:2], repeated[2:])]
    lower, upper = noise_ceiling(np.stack(halves), "spearman")
    first = clean[clean["model_ms"] == clean["model_ms"].min()]
    assert np.allclose(first["ceiling_low"], lower) and np.allclose(first["ceiling_high"], upper)
    three = recording(model, "IT", 0, n_repetitions=3)
    scores = compare(model, three, distance="crossnobis", n_permutations=0).scores
    assert scores["score"].notna().any() and scores["ceiling_low"].isna().all()
