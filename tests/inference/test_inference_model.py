"""One input, several, or asynchronously: always the same answers; caches, statistics and errors."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dynvision.errors import InputError
from dynvision.inference import ModelInferenceError
from tests.inference.toy import Weighted, cpu, weighted

INPUTS = [[float(k), 0.0, 0.0, 1.0] for k in range(7)]
VALUES = [{"value": k + 4.0} for k in range(7)]
NEVER_MS = 10**9


def test_batches_are_of_the_size_that_was_asked_for(tmp_path: Path) -> None:
    model = weighted(tmp_path, batch={"batch_size": 3})
    assert model.predict_batch(INPUTS) == VALUES
    assert [step for step in model.seen if step.startswith("forward")] == [
        "forward 3",
        "forward 3",
        "forward 1",
    ]
    assert model.predict_batch([]) == []
    with pytest.raises(InputError, match="a list of inputs, not the single input 'cat.png'"):
        model.predict_batch("cat.png")


def test_inputs_of_other_shapes_do_not_share_a_batch(tmp_path: Path) -> None:
    model = weighted(tmp_path, batch={"batch_size": 7})
    longer = [INPUTS[1] * 2, INPUTS[2], INPUTS[3] * 3, INPUTS[4] * 2, INPUTS[5]]
    expected = [{"value": value} for value in (10.0, 6.0, 21.0, 16.0, 9.0)]
    assert model.predict_batch(longer) == expected
    assert [step for step in model.seen if step.startswith("forward")] == [
        "forward 2",
        "forward 2",
        "forward 1",
    ]
    model.seen.clear()
    assert model.predict_batch_optimized(longer) == expected
    assert [model.predict(each) for each in longer] == expected


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 4), max_size=9), size=st.integers(1, 5))
def test_order_and_answers_do_not_depend_on_the_batch(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], size: int
) -> None:
    model = weighted(
        tmp_path_factory.mktemp("model"), batch={"batch_size": size}, performance={"cache_entries": 0}
    )
    inputs = [[float(place), 1.0, 0.0, 0.0] * length for place, length in enumerate(lengths)]
    expected = [{"value": (place + 2.0) * length} for place, length in enumerate(lengths)]
    assert model.predict_batch(inputs) == model.predict_batch_optimized(inputs) == expected


def test_too_large_a_batch_is_halved_until_there_is_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Small(Weighted):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if len(inputs) > 2:
                raise torch.OutOfMemoryError("too many")
            return super().forward(inputs)

    weighted(tmp_path)
    model = Small(cpu(batch={"batch_size": 7, "dynamic_batching": True}))
    model.load_model(tmp_path / "weights.pt")
    assert model.predict_batch(INPUTS) == VALUES
    assert "no memory for 7 inputs at once; continuing with 3" in caplog.text
    model.config.batch.dynamic_batching = False
    assert model.predict_batch(INPUTS) == VALUES


# --- asynchronously -------------------------------------------------------------------------------------------------


async def ask_all(model: Weighted, inputs: list[list[float]]) -> list[object]:
    return await asyncio.gather(*(model.predict_async(each) for each in inputs), return_exceptions=True)


def test_asynchronous_answers_are_those_of_predict(tmp_path: Path) -> None:
    model = weighted(tmp_path)
    assert asyncio.run(ask_all(model, INPUTS)) == VALUES
    assert [step for step in model.seen if step.startswith("forward")] == ["forward 1"] * 7


def test_what_comes_together_shares_a_batch(tmp_path: Path) -> None:
    model = weighted(
        tmp_path,
        batch={"dynamic_batching": True, "timeout_ms": NEVER_MS, "max_batch_size": 7, "batch_size": 7},
    )  # a full batch does not wait: it would for ever
    assert asyncio.run(ask_all(model, INPUTS)) == VALUES
    assert [step for step in model.seen if step.startswith("forward")] == ["forward 7"]


def test_the_event_loop_goes_on_while_the_network_computes(tmp_path: Path) -> None:
    """The network computes until the second question has been asked, which takes an event loop."""
    computing, asked = threading.Event(), threading.Event()

    class Slow(Weighted):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            computing.set()
            asked.wait()
            return super().forward(inputs)

    weighted(tmp_path)
    model = Slow(cpu())
    model.load_model(tmp_path / "weights.pt")

    async def ask() -> list[object]:
        first = asyncio.create_task(model.predict_async(INPUTS[0]))
        while not computing.is_set():
            await asyncio.sleep(0.001)
        second = asyncio.create_task(model.predict_async(INPUTS[1]))
        await asyncio.sleep(0)
        asked.set()
        return [await first, await second]

    assert asyncio.run(ask()) == VALUES[:2]
    model.cleanup()


def test_an_error_is_only_that_of_its_own_input(tmp_path: Path) -> None:
    class Strict(Weighted):
        def preprocess(self, inputs: list[float]) -> torch.Tensor:
            if inputs[0] == 3:
                raise InputError("no threes")
            return super().preprocess(inputs)

    weighted(tmp_path)
    model = Strict(
        cpu(batch={"dynamic_batching": True, "timeout_ms": 300, "max_batch_size": 7, "batch_size": 7})
    )
    model.load_model(tmp_path / "weights.pt")
    answers = asyncio.run(ask_all(model, INPUTS))
    assert str(answers.pop(3)) == "no threes"
    assert answers == VALUES[:3] + VALUES[4:]


def test_cleanup_ends_the_thread_and_the_model_can_still_be_asked(tmp_path: Path) -> None:
    model, before = weighted(tmp_path), set(threading.enumerate())
    asyncio.run(ask_all(model, INPUTS))
    (own,) = set(threading.enumerate()) - before
    model.cleanup()
    model.cleanup()
    assert not own.is_alive()
    assert model.predict(INPUTS[2]) == VALUES[2]
    assert asyncio.run(ask_all(model, INPUTS[:2])) == VALUES[:2]
    model.cleanup()


def test_threads_may_share_a_model(tmp_path: Path) -> None:
    model = weighted(tmp_path)
    answers: dict[int, object] = {}
    threads = [
        threading.Thread(target=lambda k=k: answers.update({k: model.predict(INPUTS[k])})) for k in range(7)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[k] for k in range(7)] == VALUES


# --- caches ---------------------------------------------------------------------------------------------------------


def test_what_was_asked_before_is_not_processed_again(tmp_path: Path) -> None:
    model = weighted(tmp_path, performance={"cache_entries": 32})
    first = model.predict(INPUTS[0])
    first["value"] = "changed by its owner"
    assert model.predict(list(INPUTS[0])) == VALUES[0]  # an equal input, another object
    assert model.seen == ["preprocess", "forward 1", "postprocess", "forward 1"]


def test_caches_are_bounded_and_keep_the_latest(tmp_path: Path) -> None:
    model = weighted(tmp_path, performance={"cache_entries": 2})
    for k in (0, 1, 0, 2, 0, 1):  # 1 is dropped for 2, since 0 was asked for again
        model.predict(INPUTS[k])
    assert model.seen.count("preprocess") == 4
    assert len(model._preprocessed) == len(model._postprocessed) == 2
    model.cleanup()
    assert len(model._preprocessed) == 0


# --- statistics -----------------------------------------------------------------------------------------------------


def test_times_are_measured(tmp_path: Path) -> None:
    class Slow(Weighted):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            time.sleep(0.02)
            return super().forward(inputs)

    weighted(tmp_path)
    model = Slow(cpu())
    model.load_model(tmp_path / "weights.pt")
    for each in INPUTS[:3]:
        model.predict(each)
    stats = model.get_performance_stats()
    assert {"predict_time", "preprocess_time", "forward_time", "postprocess_time", "error_counts"} == set(
        stats
    )
    assert all(stats[name]["count"] == 3 for name in stats if name.endswith("_time"))
    assert (
        0.02 <= stats["forward_time"]["min"] <= stats["forward_time"]["mean"] <= stats["forward_time"]["max"]
    )
    assert stats["predict_time"]["mean"] >= stats["forward_time"]["mean"]
    assert set(stats["predict_time"]) == {"count", "mean", "min", "max", "p95"}
    model.reset_stats()
    assert model.get_performance_stats() == {"error_counts": {}}
    model.warmup(3)
    assert model.get_performance_stats() == {"error_counts": {}}


def test_a_batch_is_timed_as_one_and_preprocessed_without_gradients(tmp_path: Path) -> None:
    class Watching(Weighted):
        def preprocess(self, inputs: list[float]) -> torch.Tensor:
            self.seen.append(f"inference {torch.is_inference_mode_enabled()}")
            return super().preprocess(inputs)

    weighted(tmp_path)
    model = Watching(cpu(batch={"batch_size": 4}))
    model.load_model(tmp_path / "weights.pt")
    assert model.predict_batch(INPUTS) == VALUES
    assert model.seen.count("inference True") == 7 and "inference False" not in model.seen
    stats = model.get_performance_stats()
    assert [stats[f"{name}_time"]["count"] for name in ("preprocess", "forward", "postprocess")] == [2, 2, 2]


def test_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = weighted(tmp_path, performance={"log_memory_usage": True})
    usage = model.get_memory_usage()
    assert (usage["total_params"], usage["trainable_params"], usage["model_size_mb"]) == (4, 4, 16 / 2**20)
    assert usage["gpu_allocated_mb"] == usage["gpu_reserved_mb"] == usage["gpu_max_allocated_mb"] == 0
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
    assert usage["cpu_memory_mb"] == pytest.approx(resident, rel=0.05)
    with caplog.at_level(logging.INFO):
        model.predict(INPUTS[0])
    assert "predict: " in caplog.text and " MB, on the GPU 0.0 MB" in caplog.text


def test_profile_tells_the_operations(tmp_path: Path) -> None:
    model = weighted(tmp_path, performance={"enable_profiling": True})
    assert model.predict(INPUTS[0]) == VALUES[0]
    profile = model.get_performance_stats()["profile_ms"]
    assert 0 < len(profile) <= 10 and all(value >= 0 for value in profile.values())
    assert any(name.startswith("aten::") for name in profile)


# --- errors ---------------------------------------------------------------------------------------------------------


def test_errors_are_counted_by_their_class(tmp_path: Path) -> None:
    model = weighted(tmp_path)
    for wrong in ([1.0, 2.0], [1.0, 2.0, 3.0]):
        with pytest.raises(
            ModelInferenceError, match=r"the forward pass of inputs of shape \(1, .\) failed"
        ) as error:
            model.predict(wrong)
        assert isinstance(error.value.__cause__, RuntimeError)
    with pytest.raises((TypeError, ValueError)):
        model.predict("words")
    counts = model.get_performance_stats()["error_counts"]
    assert counts["ModelInferenceError"] == 2 and sum(counts.values()) == 3
    assert "predict_time" not in model.get_performance_stats()


def test_nothing_loaded() -> None:
    model = Weighted(cpu())
    assert not model.is_loaded and model.model_info["loaded"] is False
    for ask in (
        lambda: model.predict([1]),
        lambda: model.predict_batch([[1]]),
        model.warmup,
        model.optimize_for_inference,
        model.compile_model,
        model.get_model_for_inference,
        lambda: model.save_optimized_state("x"),
    ):
        with pytest.raises(ModelInferenceError, match="no model is loaded; call load_model first"):
            ask()


def test_an_output_without_rows_is_refused(tmp_path: Path) -> None:
    class Summed(Weighted):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs).sum()

    weighted(tmp_path)
    model = Summed(cpu())
    model.load_model(tmp_path / "weights.pt")
    with pytest.raises(ModelInferenceError, match=r"forward must return a tensor with 1 rows, not \(\)"):
        model.predict(INPUTS[0])


def test_the_configuration_must_be_one() -> None:
    with pytest.raises(InputError, match="config must be an InferenceConfig, not a dict"):
        Weighted({})  # type: ignore[arg-type]


def test_p95_is_that_of_numpy(tmp_path: Path) -> None:
    from dynvision.inference.devices import Statistics

    statistics, values = Statistics(), np.random.default_rng(1).random(300)
    for value in values:
        statistics.add("x", float(value))
    assert statistics.summary()["x"] == pytest.approx(
        {
            "count": 300,
            "mean": values.mean(),
            "min": values.min(),
            "max": values.max(),
            "p95": np.quantile(values, 0.95),
        }
    )
