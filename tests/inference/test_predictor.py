"""One line loads a run; films, layers, early exit and streams agree with the trial of the run's test."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import dynvision
from dynvision.errors import InputError
from dynvision.inference import Film, Predictor, RunModel
from dynvision.inference.inputs import frames_due
from dynvision.stimuli.film import FilmFrame
from tests.inference.toy import cpu, encoded

IMAGE = np.eye(8, dtype=np.float32)


# Inputs in all forms; from the one of number N_GOOD on they cannot be answered.
FORMS: list[Callable[[], Any]] = [
    lambda: IMAGE,
    lambda: (IMAGE * 255).astype(np.uint8),
    lambda: torch.from_numpy(IMAGE)[None],
    lambda: Image.fromarray((IMAGE * 255).astype(np.uint8)),
    lambda: encoded("PNG"),
    lambda: io.BytesIO(encoded("GIF")),
    lambda: np.random.default_rng(1).random((20, 13, 3)),
    lambda: Film([IMAGE, 1 - IMAGE], 100),
    lambda: b"no image",
    lambda: IMAGE * np.nan,
    lambda: np.zeros((0, 8)),
    lambda: "nowhere.png",
    lambda: 7,
    lambda: io.StringIO("text"),
    lambda: Film([IMAGE, "nowhere.png"], 100),
]
N_GOOD = 8
FRAMES = (np.random.default_rng(3).random((6, 8, 8)) * 255).astype(np.uint8)


def test_a_run_by_all_its_names(predictor: Predictor, digits_run: Path) -> None:
    model = RunModel(cpu())
    model.load_model(digits_run)
    expected = model.predict(IMAGE)
    results = digits_run.parents[1]
    for source, arguments in (
        (str(digits_run), {}),
        (digits_run / "model.safetensors", {}),
        (digits_run.name, {"results": results}),
        (digits_run.name[:12], {"results": str(results)}),
    ):
        answer = dynvision.load(source, config=cpu(), **arguments).predict(IMAGE)
        assert np.array_equal(answer.probabilities, expected.probabilities)
        assert answer.decision_threshold == 0.5 and answer.saved_ms == 0 and answer.responses == {}


def test_a_folder_with_the_weights_alone_is_a_run(digits_run: Path, tmp_path: Path) -> None:
    shutil.copy(digits_run / "model.safetensors", tmp_path)
    moved, whole = dynvision.load(tmp_path, config=cpu()), dynvision.load(digits_run, config=cpu())
    assert np.array_equal(moved.predict(IMAGE).probabilities, whole.predict(IMAGE).probabilities)
    (tmp_path / "model.safetensors").rename(tmp_path / "last.safetensors")
    with pytest.raises(
        InputError, match="is no run: it has neither config.yaml nor model.safetensors; give the folder"
    ):
        dynvision.load(tmp_path, config=cpu())


@pytest.mark.parametrize(
    ("source", "arguments", "said"),
    [
        ("nothing", {}, "no run has been trained in"),
        (3, {}, "load takes a path or a name, not a int"),
        ("url:", {}, "no run has been trained in"),
        ("RUN", {"devise": "cpu"}, "unknown setting 'devise'; did you mean 'device'"),
        ("RUN", {"device": "gpu"}, "unknown value 'gpu'"),
        ("RUN", {"device": "cpu", "config": cpu()}, "are both given"),
        ("RUN", {"decision_threshold": 1.5}, "decision_threshold=1.5 must be a probability"),
        ("RUN", {"decision_threshold": "half"}, "decision_threshold='half' must be a probability"),
    ],
)
def test_what_cannot_be_loaded(
    source: Any, arguments: dict[str, Any], said: str, digits_run: Path, tmp_path: Path
) -> None:
    os.environ.pop("DYNVISION_DATA", None)
    source = digits_run if source == "RUN" else source
    with pytest.raises(InputError, match=said):
        dynvision.load(source, **{"results": tmp_path, **arguments})


# --- films ----------------------------------------------------------------------------------------------------------


def expected_of_film(predictor: Predictor, frames: Any, due: list[int]) -> np.ndarray:
    """Probabilities of a film whose frames are shown as `due` says."""
    network = predictor.model.network
    shown = torch.cat([predictor.preprocess(frame) for frame in frames])[due][None]
    with torch.inference_mode():
        return network(shown)[0].double().softmax(-1).numpy()


@pytest.mark.parametrize("rate", [1000 / 2, 300.0, 60.0, 1000 / 6])
def test_a_film_is_shown_at_its_rate(predictor: Predictor, rate: float) -> None:
    dt = predictor.model.network.dt
    n_steps = max(1, int(np.ceil(len(FRAMES) / rate * 1000 / dt - 1e-6)))
    due = [min(int((step + 0.5) * dt * rate / 1000 + 1e-9), len(FRAMES) - 1) for step in range(n_steps)]
    answer = predictor.predict(FRAMES, frame_rate=rate)
    p = expected_of_film(predictor, FRAMES, due)
    assert np.allclose(answer.probabilities, p, atol=1e-6)
    assert np.array_equal(answer.time_ms, dt * (1 + np.arange(len(p)))) and answer.final == len(p) - 1
    contents = FilmFrame("", rate).split(n_steps, dt)  # the rule of the stimulus
    assert [content.frame for n, content in contents for _ in range(n)] == [
        int((step + 0.5) * dt * rate / 1000 + 1e-9) for step in range(n_steps)
    ]


def test_films_in_all_forms(predictor: Predictor, tmp_path: Path) -> None:
    pictures = [Image.fromarray(frame) for frame in FRAMES]
    gif = io.BytesIO()
    pictures[0].save(gif, "GIF", save_all=True, append_images=pictures[1:], duration=20)
    (tmp_path / "film.gif").write_bytes(gif.getvalue())
    for k, picture in enumerate(pictures):
        picture.save(tmp_path / f"{k}.png")
    expected = predictor.predict(FRAMES, frame_rate=50).probabilities
    paths = [tmp_path / f"{k}.png" for k in range(len(pictures))]
    for source in (list(FRAMES), pictures, tuple(paths), torch.from_numpy(FRAMES)[:, None], gif.getvalue()):
        assert np.array_equal(predictor.predict(source, frame_rate=50).probabilities, expected)
    assert np.array_equal(predictor.predict(tmp_path / "film.gif").probabilities, expected)  # its own rate
    several = predictor.predict_batch([IMAGE, tmp_path / "film.gif", Film(FRAMES, 50), IMAGE])
    assert np.allclose(several[1].probabilities, expected, atol=1e-6)
    assert np.allclose(several[2].probabilities, expected, atol=1e-6)
    assert np.array_equal(several[0].time_ms, predictor.predict(IMAGE).time_ms)
    assert predictor.predict(tmp_path / "film.gif", frame_rate=100).probabilities.shape[0] < len(expected)


def test_a_video_file(predictor: Predictor, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "film.mp4"), "w") as video:
        stream = video.add_stream("mpeg4", rate=100)
        stream.width = stream.height = 32
        for value in (0, 0, 255, 255):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), value, np.uint8), format="rgb24")
            for packet in stream.encode(picture):
                video.mux(packet)
        for packet in stream.encode():
            video.mux(packet)
    answer = predictor.predict(tmp_path / "film.mp4")
    black, white = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)
    expected = predictor.predict([black, black, white, white], frame_rate=100)
    assert answer.probabilities.shape == expected.probabilities.shape
    assert np.allclose(answer.probabilities, expected.probabilities, atol=0.05)
    (tmp_path / "broken.mp4").write_bytes((tmp_path / "film.mp4").read_bytes()[:300])
    with pytest.raises(InputError, match=r"broken.mp4 (cannot be read as a video|has no pictures)"):
        predictor.predict(tmp_path / "broken.mp4")


@pytest.mark.parametrize(
    ("given", "rate", "said"),
    [
        (FRAMES[:, :, :, None], None, "a batch of 6 images; predict_batch answers batches"),
        ([IMAGE, IMAGE], None, "a film of them needs frame_rate="),
        ([], 25, "the film has no frames"),
        ([IMAGE, "no such.png"], 25, "image no such.png does not exist"),
        (FRAMES, 0, "frame_rate=0 must be a number of frames in a second"),
        (FRAMES, float("nan"), "frame_rate=nan must be"),
        (FRAMES, "fast", "frame_rate='fast' must be"),
        (FRAMES[0], 25, "a film is a file, a list of images"),
        (Path("nothing.mp4"), None, "film nothing.mp4 does not exist"),
        (b"nonsense", 25, "cannot be read"),
        (FRAMES, 1e-4, "too long to be shown at once; use stream()"),
        (FRAMES, 1e-300, "too long to be shown at once; use stream()"),
        ([IMAGE] * 10_001, 25, "has more than 10000 frames"),
    ],
)  # fmt: skip
def test_what_is_no_film(predictor: Predictor, given: Any, rate: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        predictor.predict(given, frame_rate=rate)


@pytest.mark.parametrize("kind", [np.float32, np.int64, Fraction, float])
def test_numbers_of_every_kind(predictor: Predictor, kind: Any) -> None:
    """NumPy's, and the fractions in which video files state their rate."""
    rate = kind(50)
    expected = predictor.predict(FRAMES, frame_rate=50.0)
    assert np.array_equal(predictor.predict(FRAMES, frame_rate=rate).probabilities, expected.probabilities)
    answer = predictor.predict(IMAGE, decision_threshold=kind(1))
    assert type(answer.decision_threshold) is float


def test_frames_of_unequal_length() -> None:
    assert frames_due([0, 3, 8], 12, 2) == [0, 1, 1, 1, 2, 2]  # middles at 1, 3, 5, 7, 9, 11 ms
    assert frames_due([0], 0.5, 2) == [0]


# --- layers, early exit ---------------------------------------------------------------------------------------------


def test_activity_of_layers(predictor: Predictor) -> None:
    network = predictor.model.network
    plain = predictor.predict(IMAGE)
    answer = predictor.predict(IMAGE, layers=["layer2", "layer1"])
    assert np.allclose(answer.probabilities, plain.probabilities, atol=1e-6) and answer.final == plain.final
    heard: dict[str, dict[int, np.ndarray]] = {}
    with torch.inference_mode():
        network.respond(
            (predictor.preprocess(IMAGE), torch.zeros(1, dtype=torch.int64)),
            shuffle=False,
            observer=lambda layer, frames: [
                heard.setdefault(layer, {}).update({frames.first + k: values[0].numpy().copy()})
                for k, values in enumerate(frames.steps())
            ],
        )
    for layer in ("layer1", "layer2"):
        assert answer.responses[layer].shape[0] == len(answer.time_ms) and answer.responses[layer].any()
        for step, values in heard[layer].items():
            assert np.allclose(answer.responses[layer][step], values, atol=1e-5)
    assert predictor.predict(IMAGE, layers="layer1").responses.keys() == {"layer1"}
    with pytest.raises(InputError, match="unknown layer 'layer3' .*did you mean 'layer"):
        predictor.predict(IMAGE, layers=["layer3"])
    with pytest.raises(InputError, match="layers=5 must be a list of names of layers"):
        predictor.predict(IMAGE, layers=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("threshold", [0.11, 0.15, 0.3, 1.0])
def test_early_exit_is_the_beginning_of_the_whole_answer(predictor: Predictor, threshold: float) -> None:
    for shown in ({"inputs": IMAGE}, {"inputs": FRAMES, "frame_rate": 50.0}):
        whole = predictor.predict(**shown, decision_threshold=threshold)
        early = predictor.predict(**shown, decision_threshold=threshold, early_exit=True, layers=["layer1"])
        n = len(early.time_ms)
        assert np.allclose(early.probabilities, whole.probabilities[:n], atol=1e-6)
        assert len(early.responses["layer1"]) == n
        assert whole.saved_ms == 0 and early.decision_threshold == threshold
        if np.isnan(whole.decision_ms):
            assert n == len(whole.time_ms) and early.final == whole.final and early.saved_ms == 0
        else:
            assert early.decision_ms == whole.decision_ms == early.time_ms[-1]
            assert 0 <= early.saved_ms <= whole.time_ms[-1] - early.decision_ms


def test_early_exit_saves_time(predictor: Predictor) -> None:
    early = predictor.predict([IMAGE] * 50, frame_rate=100, early_exit=True, decision_threshold=0.1)
    assert early.saved_ms > 400 and len(early.time_ms) < 20


def test_the_threshold_can_be_set(predictor: Predictor) -> None:
    before = predictor.predict(IMAGE)
    predictor.decision_threshold = 0.101
    try:
        after = predictor.predict(IMAGE)
        confidence = before.probabilities.max(axis=1)
        assert after.decision_ms == before.time_ms[np.flatnonzero(confidence >= 0.101)[0]]
        with pytest.raises(InputError, match="decision_threshold=0 must be"):
            predictor.decision_threshold = 0
    finally:
        predictor.decision_threshold = 0.5


def test_a_threshold_alone_changes_no_computation(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is the plain one to the last bit, read with another threshold."""
    plain = predictor.predict(IMAGE)
    monkeypatch.setattr(Predictor, "_followed", lambda *_: pytest.fail("computed in another way"))
    found = predictor.predict(IMAGE, decision_threshold=0.101)
    assert np.array_equal(found.probabilities, plain.probabilities)
    assert found.decision_threshold == 0.101 and plain.decision_threshold == 0.5
    assert found.decision_ms == plain.time_ms[np.flatnonzero(plain.probabilities.max(axis=1) >= 0.101)[0]]


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_tasks_in_many_forms(predictor: Predictor, data: st.DataObject) -> None:
    """Hundreds of inputs, good and bad: a batch answers each as it is answered alone, by its number."""
    inputs = data.draw(st.lists(st.sampled_from(range(len(FORMS))), min_size=1, max_size=9))
    answers = predictor.predict_batch([FORMS[form]() for form in inputs])
    assert len(answers) == len(inputs)
    for number, (form, answer) in enumerate(zip(inputs, answers, strict=True)):
        if form >= N_GOOD:
            assert isinstance(answer, InputError) and str(answer).startswith(f"input {number}: ")
            with pytest.raises(InputError):
                predictor.predict(FORMS[form]())
        else:
            alone = predictor.predict(FORMS[form]())
            np.testing.assert_allclose(answer.probabilities, alone.probabilities, atol=1e-5)
            assert answer.label == alone.label


# --- files that are no films ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0.7, 0.9, None])
def test_a_damaged_animation_shows_no_frame_twice(part: float | None, tmp_path: Path) -> None:
    """Cut off within a frame, or in the head of the last one, where not even the frames can be counted."""
    noise = np.random.default_rng(0).integers(0, 256, (5, 64, 64), dtype=np.uint8)
    first, *others = (Image.fromarray(frame) for frame in noise)
    whole = io.BytesIO()
    first.save(whole, "GIF", save_all=True, append_images=others, duration=40)
    raw = whole.getvalue()
    cut = raw[: raw.rindex(b"\x21\xf9\x04") + 1 if part is None else int(part * len(raw))]
    (tmp_path / "cut.gif").write_bytes(cut)
    for source in (cut, tmp_path / "cut.gif"):
        onsets = []
        with pytest.raises(InputError, match="the film is damaged from frame|cut.gif is damaged from frame"):
            for _, onset in Film(source).frames():
                onsets.append(onset)
        assert onsets == [40.0 * k for k in range(len(onsets))] and len(onsets) < 5


def test_formats_of_documents_are_no_films_and_large_frames_are_refused() -> None:
    document = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
    with pytest.raises(InputError, match="cannot be read|needs PyAV"):
        list(Film(document).frames())
    whole = io.BytesIO()
    Image.new("L", (20, 10)).save(whole, "GIF")
    with pytest.raises(InputError, match="frames of 20 x 10 px, more than 100 px"):
        list(Film(whole.getvalue(), max_pixels=100).frames())


def test_a_network_from_elsewhere_is_neither_served_nor_exported() -> None:
    from dynvision.inference import InferenceConfig
    from dynvision.inference.predictor import load_run

    with pytest.raises(InputError, match="torchvision:resnet18"):
        load_run("torchvision:resnet18", InferenceConfig())
