"""The statistic of trends, its verdicts, and the numbers of cortex."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from dynvision.analysis.registry import MEASURES
from dynvision.analysis.scorecard import agreement, read_targets
from dynvision.analysis.scorecard.card import distance_of, nearest
from dynvision.analysis.scorecard.phenomena import verdict
from dynvision.analysis.scorecard.targets import cortex_course
from dynvision.config.measures import TARGET_TABLES
from dynvision.errors import InputError


def test_agreement_is_kendalls_tau():
    x = np.random.default_rng(0).permuted(np.tile(np.arange(7.0), (20, 1)), axis=1)
    expected = [kendalltau(np.arange(7), row).statistic for row in x]
    np.testing.assert_allclose(agreement(x, 0.5), expected)


def test_small_changes_are_ties_and_missing_values_are_left_out():
    assert agreement(np.array([[1.0, 1.004, 1.008]]), 0.01) == [0]
    assert agreement(np.array([[1.0, np.nan, 2.0]]), 0.01) == [1]
    assert np.isnan(agreement(np.array([[1.0, np.nan, np.nan]]), 0.01))
    assert agreement(np.array([[1.0, 2.0, 1.5]]), 0.01) == [pytest.approx(1 / 3)]


def test_verdicts():
    assert [
        verdict(*pair) for pair in ((0.5, 0.1), (0.5, -0.1), (0.0, 0.0), (-1.0, -1.0), (0.5, np.nan))
    ] == [
        "yes",
        "unclear",
        "no",
        "no",
        "yes",
    ]
    assert verdict(np.nan, np.nan) == "not measured"


def test_every_target_has_a_source_and_every_measure_its_unit():
    targets = read_targets()
    assert (targets["source"] != "").all() and set(targets["provenance"]) == {"published", "R", "D", "M"}
    for row in targets[targets["measure"].isin(list(MEASURES))].to_dict("records"):
        assert row["unit"] == MEASURES[row["measure"]].unit, row
    keys = ["area", "protocol", "measure", "value", "source"]
    assert not targets.duplicated(keys).any()


TRANSCRIBED = [  # one number of each row of each table, as a proof-reader would check them
    ("V1", "contrast", "time_to_peak_ms", 0.0625, 220),
    ("V1", "contrast", "summed_normalized", 0.25, 0.565),
    ("V1", "contrast", "sustained_ratio", 0.5, 0.37),
    ("V1", "duration", "summed_normalized", 67, 0.35),
    ("V1", "duration", "r_double", 133, 0.79),
    ("V1", "interval", "recovery", 0, 0.22),
    ("V1", "interval", "recovery", 533, 1.03),
    ("LOTC", "duration", "time_to_peak_ms", 533, 168),
    ("V1-V3", "duration", "fwhm_ms", 133, 106),
    ("VOTC", "duration", "fwhm_ms", 267, 242),
    ("LOTC", "duration", "fwhm_ms", 267, 340),
    ("VOTC", "interval", "recovery", 67, 0.51),
    ("V1", "contrast", "onset_latency_ms", 1.0, 66),
]


def test_targets_are_as_transcribed():
    targets = read_targets().set_index(["area", "protocol", "measure", "value"])["target"]
    assert [targets.loc[[tuple(where)]].tolist() for *where, _ in TRANSCRIBED] == [
        [row[-1]] for row in TRANSCRIBED
    ]


def test_a_target_without_a_source_is_refused(tmp_path):
    (tmp_path / "mine.csv").write_text(
        "area,protocol,measure,value,unit,target,provenance,source,note\nV1,duration,fwhm_ms,17,ms,60,X,me,\n"
    )
    with pytest.raises(InputError, match="row 2: give a source and a provenance"):
        read_targets(tmp_path)
    with pytest.raises(InputError, match="no targets in"):
        read_targets(tmp_path / "none")


HEADING = "area,protocol,measure,value,unit,target,provenance,source,note,low,high\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("V1,contrast,peak,1.0,a.u.,abc,M,mine,,,", "target=abc is no number in row 2"),
        ("V1,contrast,peak,1.0,a.u.,1,M,mine,,x,", "low=x is no number in row 2"),
        ("V1,contrast,peak,1.0,a.u.,1,M,mine,,0.9,0.1", "row 2: the band of target=1 a.u. is empty"),
        ("V1,contrast,time_to_peak_ms,1.0,ms,-5,M,mine,,,", "row 2: the band of target=-5 ms is empty"),
        (
            "V1,contarst,peak,1.0,a.u.,1,M,mine,,,",
            "unknown protocol 'contarst'.*row 2.*did you mean 'contrast'",
        ),
        ("V1,contrast,peek,1.0,a.u.,1,M,mine,,,", "unknown measure 'peek'.*row 2.*did you mean 'peak'"),
        ("V1,contrast,peak,1.0,a.u.,1,M,mine,a,b,c,d", "cannot be read as a table"),
        ("", "has no rows below its heading"),
        ("V1,contrast,peak,1.0,a.u.,1,M,mine \xe4,,,", "is not in UTF-8"),
    ],
)
def test_a_table_of_ones_own_that_cannot_be_is_one_sentence(tmp_path, rows, said):
    path = tmp_path / "mine.csv"
    path.write_bytes((HEADING + rows).encode("latin-1"))
    TARGET_TABLES.add("mine", path)
    try:
        with pytest.raises(InputError, match=said) as error:
            read_targets()
        assert "mine.csv" in str(error.value) and "\n" not in str(error.value)
        path.write_text(
            HEADING.replace(",", ";") + "V1;contrast;peak;1,0;a.u.;0,5;M;mine;;;"
        )  # as a spreadsheet writes
        assert read_targets()[["value", "target", "low", "high"]].iloc[-1].tolist() == [1.0, 0.5, 0.3, 0.7]
    finally:
        TARGET_TABLES.remove("mine")


def test_the_nearest_value_that_was_shown_stands_in():
    durations = np.array([16.0, 34, 66, 134, 266, 534])
    assert [nearest(value, durations, "duration") for value in (17, 33, 67, 133, 267, 533)] == [
        0,
        1,
        2,
        3,
        4,
        5,
    ]
    assert nearest(0, durations, "interval") is None and nearest(100, durations, "duration") is None
    assert nearest(0.25, np.array([0.2, 0.5]), "contrast") is None


def test_distances():
    assert distance_of(0.7, 0.5, "fraction") == (pytest.approx(0.2), "fraction")
    assert distance_of(50, 200, "ms") == (2.0, "log2") and distance_of(400, 200, "ms") == (1.0, "log2")
    assert distance_of(0, 200, "ms")[0] == np.inf


def test_a_measure_in_cortex_beside_that_of_an_experiment():
    course = cortex_course("contrast", "time_to_peak_ms", ["V2", "V1", "V1-V3"])
    assert course is not None and set(course["area"]) == {"V1"}
    assert list(course["value"]) == [0.0625, 0.125, 0.25, 0.5, 1.0]
    assert list(course["mean"]) == [220, 149, 122, 112, 103]
    assert cortex_course("contrast", "peak", ["V1"]) is None
    assert cortex_course("tau", "time_to_peak_ms", ["V1"]) is None
    assert cortex_course("contrast", "time_to_peak_ms", ["IT"]) is None  # and not that of another area
    recovered = cortex_course("interval", "recovery", ["LOTC"])
    assert recovered is not None and set(recovered["area"]) == {"LOTC"}
