"""``dynvision serve RUN``: a trained run over HTTP, with a page to drop images on."""

from __future__ import annotations

import argparse

from dynvision.cli.arguments import add_answering_arguments
from dynvision.inference.limits import Limits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "POST the bytes of an image to /predict and get the answer as JSON, with probabilities over time in ms; /health, "
        "/info and /metrics describe the server, / is a page to drop an image on. Ctrl-C or SIGTERM ends it, when all "
        "requests that have come are answered."
    )
    add_answering_arguments(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; 0.0.0.0 is every one (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="port; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--batch-ms",
        type=float,
        default=2.0,
        help="wait this long for other requests to fill a batch (default: %(default)s ms)",
    )
    parser.add_argument(
        "--max-batch", type=int, default=16, help="requests in a batch (default: %(default)s)"
    )
    parser.add_argument(
        "--max-bytes",
        type=int,
        default=Limits.max_bytes,
        help="size of a request in bytes (default: %(default)s)",
    )
    parser.add_argument(
        "--answer-s",
        type=float,
        default=Limits.answer_s,
        help="a request is abandoned after this time (default: %(default)s s)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Answer until it is stopped.

    Raises:
        InputError: the run cannot be loaded, a limit is not possible, or nothing can listen there.
    """
    from dynvision.inference import InferenceConfig
    from dynvision.inference.predictor import load_run
    from dynvision.inference.server import Server

    limits = Limits(max_bytes=arguments.max_bytes, answer_s=arguments.answer_s)
    batch = {
        "dynamic_batching": True,
        "timeout_ms": arguments.batch_ms,
        "batch_size": arguments.max_batch,
        "max_batch_size": arguments.max_batch,
    }
    config = InferenceConfig(device={"device_type": arguments.device}, batch=batch)
    predictor = load_run(arguments.run, config, arguments.data, results=arguments.results)
    predictor.warmup()
    server = Server(predictor, arguments.host, arguments.port, limits)
    print(f"serving {predictor.run.run_id} at {server.url}", flush=True)
    server.run()
    print("stopped", flush=True)
