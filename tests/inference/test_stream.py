"""A stream is the film of its frames, shown one by one, and fails without changing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dynvision
from dynvision.errors import InputError
from dynvision.inference import ModelInferenceError, Predictor

IMAGE = np.eye(8, dtype=np.float32)
FRAMES = (np.random.default_rng(3).random((6, 8, 8)) * 255).astype(np.uint8)


def test_a_stream_is_a_film_frame_by_frame(predictor: Predictor) -> None:
    network = predictor.model.network
    film = predictor.predict(FRAMES, frame_rate=1000 / network.dt)
    for stream in (predictor.stream(), predictor.stream()):
        for _ in range(2):
            shown = [*FRAMES, *[None] * (len(film.time_ms) - len(FRAMES))]
            moments = [stream.step(frame) for frame in shown]
            assert np.allclose([m.probabilities for m in moments], film.probabilities, atol=1e-6)
            assert [m.time_ms for m in moments] == film.time_ms.tolist()
            assert moments[-1].class_name == film.class_names[film.probabilities[-1].argmax()]
            stream.reset()


def test_a_stream_decides_and_goes_on(predictor: Predictor) -> None:
    stream = predictor.stream(decision_threshold=0.101)
    moments = [stream.step(IMAGE) for _ in range(30)]
    first = next(k for k, m in enumerate(moments) if m.probability >= 0.101)
    assert [m.decided for m in moments] == [k >= first for k in range(30)]
    assert {m.decision_ms for m in moments[first:]} == {moments[first].time_ms}


def test_a_stream_takes_no_more_memory_with_time(predictor: Predictor) -> None:
    stream = predictor.stream()

    def n_values() -> int:
        return sum(
            p.values.untyped_storage().nbytes() for t in stream._state.traces.values() for p in t.pieces
        )

    for _ in range(20):
        stream.step(IMAGE)
    before = n_values()
    for _ in range(100):
        stream.step(IMAGE)
    assert n_values() == before


def test_a_bad_frame_changes_no_stream(predictor: Predictor, digits_run: Path) -> None:
    stream, other = predictor.stream(), predictor.stream()
    for k in range(6):
        if k == 3:
            with pytest.raises(InputError, match="image no such.png does not exist"):
                stream.step("no such.png")
        assert np.array_equal(stream.step(FRAMES[k]).probabilities, other.step(FRAMES[k]).probabilities)
    own = dynvision.load(digits_run, device="cpu")
    stream = own.stream()
    own.load_model(digits_run)
    with pytest.raises(ModelInferenceError, match="another network has been loaded; begin another stream"):
        stream.step(IMAGE)


def test_a_network_that_fails_in_a_stream(digits_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = dynvision.load(digits_run, device="cpu")
    stream = own.stream()
    stream.step(IMAGE)
    before = stream._state

    def fail(*_: Any) -> None:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(own.model.network, "step", fail)
    with pytest.raises(ModelInferenceError, match="the step failed: no kernel image"):
        stream.step(IMAGE)
    assert stream._state is before
    monkeypatch.setattr(own.model.network, "initial_state", fail)
    with pytest.raises(ModelInferenceError, match="the idle state failed: no kernel image"):
        own.stream()
