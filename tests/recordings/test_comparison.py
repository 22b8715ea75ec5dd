"""Comparisons equal rsatoolbox and scikit-learn, and find a known layer, lag and ceiling in a made recording."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
from sklearn.linear_model import Ridge

from dynvision.errors import InputError
from dynvision.recordings import compare, labelled_responses
from dynvision.recordings.data import repetitions, split_halves
from dynvision.recordings.significance import best_lag_ms, permutation_clusters, sign_flip_clusters
from dynvision.recordings.similarity import (
    assign_folds,
    compare_films,
    crossnobis_distances,
    encode,
    linear_cka,
    noise_ceiling,
    rdm_film,
    ridge_predictions,
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
    scores, _ = encode(x[:, :, None], np.stack([y, random.normal(size=y.shape)], axis=2))
    assert scores.shape == (1, 2) and scores[0, 0] > 0.95 and scores[0, 1] < 0.3


def test_chance_of_encoding_is_of_the_same_predictions() -> None:
    """Correlations of cross-validated predictions by scikit-learn with the images in another order."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 6, 1)), random.normal(size=(30, 2, 1))
    y[:, 0, 0] += x[:, :, 0].sum(axis=1)
    orders = [np.arange(30), random.permutation(30), np.roll(np.arange(30), 1)]
    alpha = 3.0
    strength = (alpha,)
    scores, chance = encode(x, y, strength, seed=5, orders=orders)
    folds = assign_folds(30, 5, seed=5)
    predicted = np.empty((30, 2))
    for fold in range(5):
        train = folds != fold
        scaled = alpha * x[train, :, 0].var(axis=0).mean()
        predicted[~train] = Ridge(scaled).fit(x[train, :, 0], y[train, :, 0]).predict(x[~train, :, 0])
    for number, order in enumerate(orders):
        expected = np.mean([np.corrcoef(predicted[:, c], y[order, c, 0])[0, 1] for c in range(2)])
        assert chance[number, 0, 0] == pytest.approx(expected, abs=1e-6)
    assert scores[0, 0] == chance[0, 0, 0]


def test_encoding_of_noise_is_rarely_significant_and_of_a_signal_is() -> None:
    model = network(n_images=20)
    brain = recording(model, "IT", 1, noise=0.3)
    found = compare(model, brain, method="encoding", n_permutations=40)
    it = found.scores[found.scores["layer"] == "IT"]
    same = it[it["brain_ms"] - it["model_ms"] == STEP_MS]
    assert same["significant"].mean() > 0.8
    assert found.scores[found.scores["layer"] == "V1"]["significant"].mean() < 0.05


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


# The mixtures of the made recording keep Euclidean distances and products, not correlations over units.
@pytest.mark.parametrize(
    ("method", "distance"), [("rsa", "euclidean"), ("rsa", "crossnobis"), ("cka", "correlation")]
)
def test_the_true_network_lies_within_the_ceiling_and_none_above_it(method: str, distance: str) -> None:
    model = network(n_images=20)
    low = {}
    for noise in (0.05, 1.0):
        brain = recording(model, "IT", 0, noise, n_repetitions=6)
        scores = compare(
            model, brain, method=method, distance=distance, score="correlation", n_permutations=0
        ).scores
        true = scores[(scores["layer"] == "IT") & (scores["model_ms"] == scores["brain_ms"])]
        assert (scores["score"] <= scores["ceiling_high"] + 1e-9).all()
        assert true["score"].mean() > true["ceiling_low"].mean() - 0.01
        low[noise] = true["ceiling_low"].mean()
    assert low[0.05] > 0.9 > low[1.0] + 0.1


def test_the_ceiling_of_encoding_is_that_of_the_mean_over_repetitions() -> None:
    """Signal of variance 1, noise of v / R: the mean over R repetitions correlates by (1 + v / R)^-1/2 with the signal."""
    random = np.random.default_rng(0)
    signal = random.normal(size=(400, 30, 1))
    reps, v = 8, 4.0
    images = np.tile(np.arange(400), reps)
    noisy = np.concatenate([signal + np.sqrt(v) * random.normal(size=signal.shape) for _ in range(reps)])
    brain = labelled_responses(noisy, [4.0], {"image": images}, {"area": ["V1"] * 30})
    model = labelled_responses(signal, [4.0], {"image": np.arange(400)}, {"layer": ["V1"] * 30})
    scores = compare(model, brain, method="encoding", n_permutations=0).scores
    expected = (1 + v / reps) ** -0.5
    assert scores["ceiling_high"].iloc[0] == pytest.approx(expected, abs=0.01)
    assert scores["ceiling_low"].iloc[0] == pytest.approx(expected**2, abs=0.02)
    assert scores["score"].iloc[0] == pytest.approx(expected, abs=0.03)


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


@pytest.mark.parametrize("lag_ms", [-40.0, 0.0, 40.0])
def test_a_slow_code_and_a_late_signal_do_not_move_the_lag(lag_ms: float) -> None:
    """Codes that change over a second, in a brain that hardly responds in its first 100 ms."""
    times = 10.0 * np.arange(1, 31)
    apart = times[None, :] - times[:, None] - lag_ms
    signal = np.clip((times - 100) / 100, 0.02, 1)
    scores = signal[None, :] * np.exp(-np.abs(apart) / 1000)
    scores[0] = np.nan  # the network has not begun
    assert best_lag_ms(scores, times, times) == lag_ms
    noise = 0.002 * np.random.default_rng(0).normal(size=scores.shape)
    assert abs(best_lag_ms(scores + noise, times, times) - lag_ms) <= 10


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
    one = brain.isel(unit=[3])
    with pytest.raises(
        InputError, match="area V1-V3 has 1 unit, and a correlation over units needs 2; set distance"
    ):
        compare(model, one)
    assert np.isfinite(compare(model, one, distance="euclidean", n_permutations=0).scores["score"]).all()
    with pytest.raises(InputError, match="area V1-V3 is the same for all images at all times"):
        compare(model, brain.assign(response=xarray.ones_like(brain["response"])))
    with pytest.raises(
        InputError, match="0 images in common.*the network knows 0, 1, 10 and 9 more, the recording cat0"
    ):
        compare(model, stranger)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", ["rsa", "encoding", "cka"])
def test_times_without_a_signal_have_no_score(method: str) -> None:
    model = network()
    brain = recording(model, "V1", 1)
    brain["response"].values[:, :, :3] = 0  # as of a recording that is cut before the onset
    scores = compare(model, brain, method, n_permutations=0).scores
    silent = scores["brain_ms"] <= brain["time_ms"].values[2]
    assert scores["score"].isna().equals(silent) and scores["ceiling_high"].isna().equals(silent)


@pytest.mark.parametrize("method", ["rsa", "encoding", "cka"])
def test_values_that_are_not_numbers_are_refused(method: str) -> None:
    model = network()
    brain = recording(model, "V1", 1)
    broken = brain.copy(deep=True)
    broken["response"].values[3, [2, 5], 4] = np.nan
    with pytest.raises(InputError, match=r"area V1-V3 has .* of 2 of 30 units \(numbers 2, 5\)"):
        compare(model, broken, method, n_permutations=0)
    exploded = model.copy(deep=True)
    exploded["response"].values[0, 25, -1] = np.inf
    with pytest.raises(InputError, match=r"layer IT has .* of 1 of 20 units \(numbers 5\)"):
        compare(exploded, brain, method, n_permutations=0)


def test_scores_are_means_over_halves_of_the_repetitions() -> None:
    """Of crossnobis distances as well, which take two repetitions in each half; fewer have no ceiling."""
    model = network()
    brain = recording(model, "IT", 0, noise=0.05, n_repetitions=4)
    found = compare(model, brain, distance="crossnobis", n_permutations=0, layers=["IT"]).scores
    assert found["ceiling_low"].median() > 0.95
    repeated = repetitions(brain)
    halves = np.stack([rdm_film(half, "crossnobis") for half in (repeated[0::2], repeated[1::2])])
    lower, upper = noise_ceiling(halves, "spearman")
    first = found[found["model_ms"] == found["model_ms"].min()]
    assert np.allclose(first["ceiling_low"], lower) and np.allclose(first["ceiling_high"], upper)
    order = np.argsort(model["image"].values.astype(str))
    x = model["response"].values[order][:, model["layer"].values == "IT"]
    expected = np.mean([compare_films(rdm_film(x, "euclidean"), half) for half in halves], axis=0)
    assert np.allclose(found["score"], expected.ravel(), atol=1e-6)
    three = recording(model, "IT", 0, n_repetitions=3)
    scores = compare(model, three, distance="crossnobis", n_permutations=0).scores
    assert scores["score"].notna().any() and scores["ceiling_low"].isna().all()


def test_halves_use_every_repetition_of_every_image() -> None:
    values = np.arange(7.0).reshape(7, 1, 1)
    data = labelled_responses(values, [1.0], {"image": ["a", "a", "a", "b", "b", "b", "b"]}, {"area": ["V1"]})
    first, second = split_halves(data)[:, :, 0, 0]
    assert 1 * first[0] + 2 * second[0] == pytest.approx(0 + 1 + 2)
    assert 2 * (first[1] + second[1]) == pytest.approx(3 + 4 + 5 + 6)
    once = data.isel(presentation=[0, 1, 3])
    assert split_halves(once)[:, :, 0, 0].tolist() == [[0.5, 3.0]]


def test_conditions_are_matched_or_chosen() -> None:
    model = network()
    two = xarray.concat(
        [model.assign_coords(condition=("presentation", [c] * 12)) for c in (0.5, 1.0)], "presentation"
    )
    two["response"][:12] = np.random.default_rng(0).normal(size=two["response"][:12].shape)
    brain = recording(model, "IT", 0)
    with pytest.raises(
        InputError, match=r"the network has 2 conditions \(0.5, 1\) and the recording has not.*value"
    ):
        compare(two, brain, n_permutations=0)
    with pytest.raises(InputError, match="value=0.7 is none of the conditions of the network"):
        compare(two, brain, value=0.7)
    chosen = compare(two, brain, value=1.0, n_permutations=0)
    assert chosen.scores.equals(compare(model, brain, n_permutations=0).scores)
    assert compare(two, two.rename(layer="area"), areas=["IT"], n_permutations=0).lags["lag_ms"].notna().all()


def test_layers_meet_the_areas_that_they_are_paired_with() -> None:
    model, brain = network(), recording(network(), "IT", 0)
    found = compare(model, brain, pairs={"IT": ["LOTC", "V1-V3"]}, n_permutations=0)
    assert found.lags[["layer", "area"]].values.tolist() == [["IT", "V1-V3"]]
    with pytest.raises(
        InputError, match="none of the layers .V1, IT. is paired with an area of the recording .V1-V3."
    ):
        compare(model, brain, pairs={"IT": "LOTC"})


def test_bins_of_time_bring_two_grids_together() -> None:
    """A network in steps of 2 ms, a recording at 512 Hz that follows it by 40 ms."""
    slow = patterns(12, 20, 12, 0.5, 3)
    model = labelled_responses(
        np.repeat(slow, 10, axis=2), 2.0 * np.arange(1, 121), {"image": np.arange(12)}, {"layer": ["V1"] * 20}
    )
    times = np.arange(1, 122) * 1000 / 512
    at = np.ceil((times - 40) / 20).astype(int) - 1
    values = np.where(at >= 0, slow[:, :, np.maximum(at, 0)], 0)
    brain = labelled_responses(values, times, {"image": np.arange(12)}, {"area": ["V1"] * 20})
    with pytest.raises(InputError, match="every 2 ms.*every 1.95312 ms.*bin_ms"):
        compare(model, brain, n_permutations=0)
    found = compare(model, brain, bin_ms=20, n_permutations=0)
    assert found.lags["lag_ms"].tolist() == [40.0]
    assert sorted(set(found.scores["model_ms"])) == [20.0 * k for k in range(1, 13)]
    with pytest.raises(InputError, match="bin_ms=1 is narrower than the 2 ms"):
        compare(model, brain, bin_ms=1)


def test_courses_follow_the_lag() -> None:
    model = network()
    found = compare(model, recording(model, "IT", 2), n_permutations=0)
    courses = found.courses().set_index("layer").loc["IT"]
    assert (courses["brain_ms"] - courses["model_ms"] == 2 * STEP_MS).all() and len(courses) == 18
