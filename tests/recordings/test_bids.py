"""A made derivative in the layout of OpenNeuro ds004194, with its columns and units, gives known epochs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dynvision.errors import InputError
from dynvision.recordings import read_bids_derivatives, read_recording

pytest.importorskip("mne")
RATE = 512
CHANNELS = {
    "OT01": ("ECOG", "good"),
    "OT02": ("ECOG", "bad"),
    "D1": ("SEEG", "good"),
    "ECG+": ("ECG", "good"),
}
HEADER = """Brain Vision Data Exchange Header File Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile={stem}_ieeg.eeg
MarkerFile={stem}_ieeg.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels={n}
SamplingInterval=1953.13

[Binary Infos]
BinaryFormat=IEEE_FLOAT_32

[Channel Infos]
{channels}
"""


def write_run(
    root: Path,
    subject: str,
    shown: list[tuple[float, str, float]],
    run: int = 1,
    task: str = "spatialpattern",
) -> Path:
    """A run of 60 s at level 2; each of (onset s, trial, amplitude) multiplies the electrodes from 100 ms on for 300 ms."""
    folder = root / subject / "ses-01" / "ieeg"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{subject}_ses-01_task-{task}_run-{run:02d}_desc-broadband"
    signal = np.full((len(CHANNELS), 60 * RATE), 2.0)
    for onset, _, amplitude in shown:
        start = round(onset * RATE)
        on = slice(start + round(0.1 * RATE), start + round(0.4 * RATE))
        signal[0, on] *= 1 + amplitude
        signal[2, on] *= 1 + 10 * amplitude
    signal.T.astype("<f4").tofile(folder / f"{stem}_ieeg.eeg")
    listed = "\n".join(f"Ch{i}={name},,1,uV^2" for i, name in enumerate(CHANNELS, start=1))
    header = HEADER.format(stem=stem, n=len(CHANNELS), channels=listed)
    (folder / f"{stem}_ieeg.vhdr").write_text(header, encoding="utf-8")
    (folder / f"{stem}_ieeg.vmrk").write_text(
        f"Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nDataFile={stem}_ieeg.eeg\n\n"
        "[Marker Infos]\nMk1=New Segment,,1,1,0\n"
    )
    rows = [(name, kind, "uV^2", status, RATE) for name, (kind, status) in CHANNELS.items()]
    channels = pd.DataFrame(rows, columns=["name", "type", "units", "status", "sampling_frequency"])
    channels.to_csv(folder / f"{stem}_channels.tsv", sep="\t", index=False)
    events = pd.DataFrame(shown, columns=["onset", "trial_name", "amplitude"]).drop(columns="amplitude")
    # As in the data set, where the file is that of the whole run.
    events = events.assign(
        duration=0.5, ISI=0.0, stim_file=f"{stem}.mat", stim_file_index=range(1, len(events) + 1)
    )
    events.to_csv(folder / f"{stem}_events.tsv", sep="\t", index=False)
    return folder


@pytest.fixture
def derivative(tmp_path: Path) -> Path:
    root = tmp_path / "derivatives" / "ECoGBroadband"
    write_run(root, "sub-p01", [(10.191, "CRF-5", 0.5), (13.078, "CRF-1", 0.1)])
    write_run(root, "sub-p01", [(11.0, "CRF-1", 0.3), (14.0, "CRF-5", 0.7), (17.0, "PLAID", 1.0)], run=2)
    write_run(
        root,
        "sub-p02",
        [(9.0, "CRF-1", 1.0), (20.0, "CRF-5", 2.0), (30.0, "CRF-1", 3.0), (40.0, "CRF-1", 5.0)],
    )
    (root / "areas.tsv").write_text("subject\tname\tarea\np01\tOT01\tV1\np01\tD1\tV2\nsub-p02\tOT01\tV1\n")
    return root


def test_epochs_are_changes_from_baseline_of_good_electrodes(derivative: Path) -> None:
    data = read_bids_derivatives(derivative)
    assert read_recording(derivative).equals(data)
    assert list(data["subject"].values) == ["sub-p01"] * 2 + ["sub-p02"] * 2
    assert list(data["electrode"].values) == ["OT01", "D1"] * 2
    assert list(data["area"].values) == ["V1", "V2", "V1", "unknown"]
    assert list(data["image"].values) == [
        "CRF-1",
        "CRF-1",
        "CRF-5",
    ]  # PLAID was not shown to all; CRF-5 once to p02
    assert list(data["repetition"].values) == [0, 1, 0]
    times = data["time_ms"].values
    assert np.allclose(np.diff(times), 1000 / RATE) and 0.0 in times
    on = (times >= 101) & (times < 399)
    off = (times < 99) | (times > 401)
    # p02 saw CRF-1 three times: the repetitions of p01 are two, so that the first and the third of p02 are averaged.
    expected = [[0.1, 1.0, 3.0, 30.0], [0.3, 3.0, 3.0, 30.0], [0.6, 6.0, 2.0, 20.0]]
    assert np.allclose(data["response"].values[:, :, on], np.array(expected)[:, :, None], atol=1e-5)
    assert np.allclose(data["response"].values[:, :, off], 0, atol=1e-5)


def test_window_baseline_task_and_images_are_chosen(derivative: Path) -> None:
    write_run(derivative, "sub-p01", [(10.0, "BAR", 0.5)], task="prf")
    raw = read_bids_derivatives(derivative, "spatialpattern", window_ms=(0, 200), baseline_ms=None)
    assert raw["time_ms"].values[[0, -1]] == pytest.approx([0, 102 * 1000 / RATE])
    assert raw["response"].values.min() == 2.0
    joined = read_bids_derivatives(derivative, "prf", image=["trial_name", "stim_file_index"])
    assert list(joined["image"].values) == ["BAR-1"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"task": "prff"}, "has no task 'prff'; it has spatialpattern"),
        ({"image": "picture"}, "no column 'picture' that names the images"),
        ({"window_ms": (-200, 60_000)}, "around the event in row 2 leaves the recording"),
        ({"baseline_ms": (-300, 0)}, "must lie within window_ms"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    derivative: Path, change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        read_bids_derivatives(derivative, **change)


def test_files_that_do_not_fit_are_one_sentence(derivative: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder of a derivative"):
        read_bids_derivatives(tmp_path / "nothing")
    folder = derivative / "sub-p01" / "ses-01" / "ieeg"
    channels = folder / "sub-p01_ses-01_task-spatialpattern_run-01_desc-broadband_channels.tsv"
    channels.write_text(channels.read_text().replace("OT01", "OT99"))
    with pytest.raises(InputError, match="no channel 'OT99'"):
        read_bids_derivatives(derivative)
    channels.unlink()
    with pytest.raises(InputError, match="there is no .*channels.tsv"):
        read_bids_derivatives(derivative)
