"""What is computed from guesses: by hand, from tables of a few images."""

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis.accuracy import best_moments, confusions, guess_courses

# Two images of class 0 and one of class 2; times -2, 0, 2 ms. Rows: images.
LABELS = [0, 0, 2]
GUESSES = {0.5: [[1, 1, 0], [0, 0, 1], [2, 0, 0]], 1.0: [[1, 0, 0], [0, 1, 0], [2, 1, 2]]}
CONFIDENCE = {0.5: [[0.5, 0.4, 0.3]] * 3, 1.0: [[0.5, 0.6, 0.7], [0.5, 0.6, 0.9], [0.5, 0.6, 0.8]]}


@pytest.fixture
def performance():
    rows = []
    for value, guesses in GUESSES.items():
        for image, (label, of_image) in enumerate(zip(LABELS, guesses, strict=True)):
            for step, guess in enumerate(of_image):
                time_ms = 2.0 * step
                rows.append(
                    (
                        value,
                        image,
                        label,
                        time_ms,
                        time_ms > 0,
                        guess,
                        guess == label,
                        CONFIDENCE[value][image][step],
                    )
                )
    names = ["value", "image", "label", "time_ms", "stimulus_on", "guess", "correct", "confidence"]
    return pd.DataFrame(rows, columns=names).assign(
        run_id="run", experiment="test", parameter="contrast", n_classes=3
    )


def test_confusions_at_the_best_moment(performance):
    table = confusions(performance).set_index(["value", "label", "guess"])
    # At 0.5, one of three is right at 2 ms and at 4 ms: the earlier counts. At 1.0 all are right at 4 ms.
    assert table.loc[0.5, "time_ms"].unique().tolist() == [2.0] and table.loc[
        1.0, "time_ms"
    ].unique().tolist() == [4.0]
    assert table.loc[0.5].loc[0]["mean"].tolist() == [0.5, 0.5, 0.0]
    assert table.loc[0.5].loc[2]["mean"].tolist() == [1.0, 0.0, 0.0]
    assert table.loc[1.0].loc[0]["mean"].tolist() == [1.0, 0.0, 0.0]
    assert table.loc[1.0].loc[2]["mean"].tolist() == [0.0, 0.0, 1.0]
    assert table.loc[1.0].loc[0]["n_images"].tolist() == [2, 2, 2]
    assert 1 not in table.index.get_level_values("label")  # a class that was never shown


def test_guesses_in_time_at_the_highest_value(performance):
    table = guess_courses(performance)
    assert table["value"].unique().tolist() == [1.0]
    courses = table.pivot(index=["label", "guess"], columns="time_ms", values="mean")
    assert courses.loc[(0, 0)].tolist() == [0.5, 0.5, 1.0]
    assert courses.loc[(0, 1)].tolist() == [0.5, 0.5, 0.0]
    assert courses.loc[(2, 2)].tolist() == [1.0, 0.0, 1.0]
    assert courses.loc[(2, 1)].tolist() == [0.0, 1.0, 0.0]
    assert (0, 2) not in courses.index  # never guessed


def test_best_moments(performance):
    table = best_moments(performance).set_index(["quantity", "value"])
    assert table.loc["accuracy"]["mean"].tolist() == pytest.approx([1 / 3, 1.0])
    assert table.loc["time_ms"]["mean"].tolist() == [2.0, 4.0]
    assert table.loc["confidence"]["mean"].tolist() == pytest.approx([0.4, 0.8])
    assert table.loc["time_ms"]["ci_low"].isna().all()
    assert table.loc[("accuracy", 1.0), ["ci_low", "ci_high"]].tolist() == [1.0, 1.0]
    assert table["chance"].unique() == pytest.approx([1 / 3])
    assert "confidence" not in set(best_moments(performance.drop(columns="confidence"))["quantity"])
    assert np.isfinite(table["mean"]).all()
