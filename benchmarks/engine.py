"""Time and memory of the engine against the textbook loop, in the same run, as ratios.

    python benchmarks/engine.py                          all models, sizes and lengths
    python benchmarks/engine.py --models DyRCNNx4 --pixels 32 --steps 20 --batch 16
    python benchmarks/engine.py --cordsnet --pixels 112 --batch 8
    python benchmarks/engine.py --stream --batch 1       one step at a time, as a stream runs
    python benchmarks/engine.py --alone --arguments '{}' '{"drive_noise": 0.1}'    without the loop, by option

Each row is one model on one input: an image shown for T steps of 2 ms, all delays at their defaults, skips on. The loop is
the oracle of the tests (``tests/textbook_loop.py``) on the same modules in channels-last layout, its best. A ratio above 1
means that the engine is faster. With --compiled the loop compiled by ``torch.compile`` is a second rival; it compiles for
minutes, and needs a compiler. On a GPU, memory is what it gives at most, for the captured trial too.

Work is of forward and backward pass. Counted is what the convolutions of the loop do, at every step, three times that of
the forward pass; executed what the engine's do, which convolves a constant image once, and on a GPU pads channels. A rate
of counted work is a speed-up; one of executed work says how well the device is used.

With --cordsnet the model is CordsNet-R8 over 100 idle and 100 steps, and the loop is its update rule written out
(``tests/models/published.py``): idle at full batch, the static image convolved at every step, either once or, as in the
published code, again for each of the eight areas. The idle steps are without gradient in all.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent.parent))

from dynvision.base.cuda_graphs import EAGER_CALLS  # noqa: E402
from dynvision.models import create  # noqa: E402
from tests.models import layouts  # noqa: E402
from tests.models.published import cordsnet  # noqa: E402
from tests.textbook_loop import textbook_loop  # noqa: E402

N_STEPS = 200  # of a stream


def main() -> None:
    """Measure what the arguments ask for and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["DyRCNNx2", "DyRCNNx4", "DyRCNNx8"])
    parser.add_argument("--pixels", nargs="+", type=int, default=[32, 64], help="height and width in px")
    parser.add_argument("--steps", nargs="+", type=int, default=[5, 20, 80], help="steps of 2 ms")
    parser.add_argument("--batch", type=int, default=16, help="images")
    parser.add_argument(
        "--precision", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"]
    )
    parser.add_argument(
        "--block-steps", type=int, default=None, help="steps at once; chosen by the engine by default"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument(
        "--forward-only", action="store_true", help="with --cordsnet: leave out the backward pass"
    )
    parser.add_argument("--compiled", action="store_true", help="measure the compiled loop, too")
    parser.add_argument("--cordsnet", action="store_true", help="measure CordsNet-R8 in place of --models")
    parser.add_argument("--alone", action="store_true", help="measure the engine without the loop beside it")
    parser.add_argument(
        "--arguments",
        nargs="+",
        type=json.loads,
        default=[{}],
        help="JSON: arguments of the model, one row for each",
    )
    parser.add_argument("--stream", action="store_true", help="measure single steps in place of trials")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(
        f"{processor(arguments.device)}; torch {torch.__version__}; {torch.get_num_threads()} CPU threads\n"
    )
    if arguments.cordsnet:
        compare_cordsnet(arguments)
        return
    if arguments.stream:
        if arguments.device != "cuda":
            parser.error("--stream compares steps with and without a CUDA graph, and needs a GPU")
        print("| model | px | batch | ms a step | captured | x |\n|---|---|---|---|---|---|")
        for name in arguments.models:
            for pixels in arguments.pixels:
                print("| " + " | ".join(measure_stream(name, pixels, arguments)) + " |", flush=True)
        return
    header = ["model", "px", "T", "batch", "precision", "forward ms", "x", "forward + backward ms", "x"]
    if arguments.alone:
        header = ["arguments", *(name for name in header if name != "x")]
    elif arguments.compiled:
        header += ["x compiled, forward", "x compiled, both"]
    if not arguments.alone:
        header += ["counted GFLOP", "executed", "counted TFLOP/s", "executed"]
    if arguments.device == "cuda":
        header += ["peak MB"] if arguments.alone else ["peak MB", "x"]
        print(f"matrix product (8192, bfloat16): {matrix_rate():.0f} TFLOP/s\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for name in arguments.models:
        for pixels in arguments.pixels:
            for steps in arguments.steps:
                for precision in arguments.precision:
                    for given in arguments.arguments:
                        row = measure(name, pixels, steps, precision, given, arguments)
                        print("| " + " | ".join(row) + " |", flush=True)


def measure(
    name: str, pixels: int, steps: int, precision: str, given: dict[str, Any], arguments: argparse.Namespace
) -> list[str]:
    """One row of the table, of a model with the given arguments."""
    torch.manual_seed(0)
    device = arguments.device
    model = create(
        name, input_dims=(steps, 3, pixels, pixels), n_classes=10, block_steps=arguments.block_steps, **given
    )
    model.to(device)
    images = torch.randn(arguments.batch, 3, pixels, pixels, device=device).contiguous(
        memory_format=torch.channels_last
    )
    video = images.unsqueeze(1).expand(-1, steps, -1, -1, -1)

    def autocast() -> contextlib.AbstractContextManager[object]:
        return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bfloat16")

    def engine(network: torch.nn.Module = model) -> Tensor:
        with autocast():
            return network(images)

    def loop() -> Tensor:
        with autocast():
            return textbook_loop(model, video)[0]

    def forward(run: Callable[[], Tensor]) -> Callable[[], None]:
        def call() -> None:
            with torch.no_grad():
                run()

        return call

    def backward(run: Callable[[], Tensor]) -> Callable[[], None]:
        def call() -> None:
            model.zero_grad(set_to_none=True)
            run().float().sum().backward()

        return call

    setting = [name, str(pixels), str(steps), str(arguments.batch), precision]
    if device == "cuda":  # before the others, whose captured trial holds memory
        memory = peak_memory(backward(partial(engine, copy.deepcopy(model))))
    if arguments.alone:
        alone = paired(forward(engine), backward(engine), device, arguments.repeats)
        row = [f"`{json.dumps(given)}`", *setting, *(f"{1e3 * seconds:.1f}" for seconds in alone)]
        return [*row, f"{memory / 1e6:.0f}"] if device == "cuda" else row
    if device == "cuda":
        loop_memory = peak_memory(backward(loop))
    ours, theirs = paired(forward(engine), forward(loop), device, arguments.repeats)
    ours_both, theirs_both = paired(backward(engine), backward(loop), device, arguments.repeats)
    row = [
        *setting,
        f"{1e3 * ours:.1f}",
        f"{theirs / ours:.2f}",
        f"{1e3 * ours_both:.1f}",
        f"{theirs_both / ours_both:.2f}",
    ]
    if arguments.compiled:
        compiled = torch.compile(loop)
        again, theirs = paired(forward(engine), forward(compiled), device, arguments.repeats)
        again_both, theirs_both = paired(backward(engine), backward(compiled), device, arguments.repeats)
        row += [f"{theirs / again:.2f}", f"{theirs_both / again_both:.2f}"]
    counted, executed = 3 * operations(model, video), executed_operations(model, backward(engine))
    row += [f"{work / 1e9:.1f}" for work in (counted, executed)]
    row += [f"{work / ours_both / 1e12:.3g}" for work in (counted, executed)]
    if device == "cuda":
        row += [f"{memory / 1e6:.0f}", f"{loop_memory / memory:.2f}"]
    return row


def measure_stream(name: str, pixels: int, arguments: argparse.Namespace) -> list[str]:
    """A row of steps in float32, without and with CUDA graphs, which a CPU does not have."""
    torch.manual_seed(0)
    model = create(name, input_dims=(20, 3, pixels, pixels), n_classes=10).to(arguments.device).eval()
    frame = torch.randn(arguments.batch, 3, pixels, pixels, device=arguments.device)
    streams = []
    for graphs in (False, True):
        network = copy.deepcopy(model)
        network.cuda_graphs = graphs
        streams.append(partial(_steps, network, frame, network.plan()))
    eager, captured = (seconds / N_STEPS for seconds in paired(*streams, arguments.device, arguments.repeats))
    times = (f"{1e3 * eager:.2f}", f"{1e3 * captured:.2f}", f"{eager / captured:.2f}")
    return [name, str(pixels), str(arguments.batch), *times]


@torch.inference_mode()
def _steps(network: Any, frame: Tensor, plan: Any) -> None:
    state = network.initial_state(len(frame), plan)
    for _ in range(N_STEPS):
        _, state = network.step(frame, state, plan)


def compare_cordsnet(arguments: argparse.Namespace) -> None:
    """Print the table of CordsNet-R8: one row a size and precision, ratios to both forms of the plain loop."""
    header = [
        "px",
        "batch",
        "precision",
        "forward ms",
        "x once",
        "x each area",
        "forward + backward ms",
        "x once",
    ]
    header = header[: -2 if arguments.forward_only else None]
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for pixels in arguments.pixels:
        for precision in arguments.precision:
            print("| " + " | ".join(measure_cordsnet(pixels, precision, arguments)) + " |", flush=True)


def measure_cordsnet(pixels: int, precision: str, arguments: argparse.Namespace) -> list[str]:
    """One row of the table."""
    device, repeats = arguments.device, arguments.repeats
    model = create(
        "CordsNetR8", input_dims=(100, 3, pixels, pixels), n_classes=1000, block_steps=arguments.block_steps
    )
    sizes = [(bias.shape[1], bias.shape[2]) for name, bias in model.named_parameters() if "addbias" in name]
    published = {name: w.float().to(device) for name, w in layouts.cordsnet(8, 1000, sizes).items()}
    model.load_state_dict(model.translate_pretrained_layer_names(published))
    model.to(device)
    images = torch.randn(arguments.batch, 3, pixels, pixels, device=device)
    for weight in published.values():
        weight.requires_grad_()

    def autocast() -> contextlib.AbstractContextManager[object]:
        return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bfloat16")

    def engine() -> Tensor:
        with autocast():
            return model(images)

    def loop(for_each_area: bool = False) -> Tensor:
        with autocast():
            return cordsnet(published, images, 100, idle_steps=100, for_each_area=for_each_area)

    def forward(run: Callable[[], Tensor]) -> Callable[[], None]:
        def call() -> None:
            with torch.no_grad():
                run()

        return call

    def backward(run: Callable[[], Tensor]) -> Callable[[], None]:
        return lambda: run().float().square().mean().backward()

    ours, once = paired(forward(engine), forward(loop), device, repeats)
    again, each = paired(forward(engine), forward(lambda: loop(for_each_area=True)), device, repeats)
    row = [str(pixels), str(arguments.batch), precision]
    row += [f"{1e3 * ours:.0f}", f"{once / ours:.2f}", f"{each / again:.2f}"]
    if arguments.forward_only:
        return row
    ours, once = paired(backward(engine), backward(loop), device, repeats)
    return [*row, f"{1e3 * ours:.0f}", f"{once / ours:.2f}"]


def paired(a: Callable[[], None], b: Callable[[], None], device: str, repeats: int) -> tuple[float, float]:
    """Median seconds of two functions, called in turn after a warm-up; a GPU's captures a trial meanwhile."""
    times: tuple[list[float], list[float]] = ([], [])
    warm_up = EAGER_CALLS + 1 if device == "cuda" else 1
    for repeat in range(warm_up + repeats):
        for function, measured in zip((a, b), times, strict=True):
            begun = time.perf_counter()
            function()
            if device == "cuda":
                torch.cuda.synchronize()
            if repeat >= warm_up:
                measured.append(time.perf_counter() - begun)
    return statistics.median(times[0]), statistics.median(times[1])


def peak_memory(function: Callable[[], None]) -> float:
    """Bytes that a GPU gives for a function that is called until its trial is captured, the captured one included."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    for _ in range(EAGER_CALLS + 1):
        function()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_reserved() - before


def operations(model: torch.nn.Module, video: Tensor) -> int:
    """Floating-point operations of the convolutions of one forward pass of the loop, two for a multiply-add."""
    counted = [0]

    def count(module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counted[0] += 2 * output.numel() * module.weight[0].numel()  # type: ignore[union-attr, operator]

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    with torch.no_grad():
        textbook_loop(model, video[:1])
    for hook in hooks:
        hook.remove()
    return counted[0] * len(video)


def executed_operations(model: torch.nn.Module, run: Callable[[], None]) -> int:
    """Floating-point operations of the convolutions and matrix products that a call of the engine does."""
    graphs, model.cuda_graphs = model.cuda_graphs, False  # a replayed graph hides its operations
    try:
        with FlopCounterMode(display=False) as counter:
            run()
    finally:
        model.cuda_graphs = graphs  # type: ignore[assignment]
    return counter.get_total_flops()


def matrix_rate() -> float:
    """TFLOP/s of a large bfloat16 matrix product."""
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    times = []
    for _ in range(10):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        a @ a
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return 2 * 8192**3 / statistics.median(times) / 1e12


def processor(device: str) -> str:
    """The kind of processor."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
