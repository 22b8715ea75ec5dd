"""``dynvision show-trial``: what a network sees in a trial of its training, and which labels count."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynvision.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dynvision.base import BaseModel
    from dynvision.config.run import RunConfig
    from dynvision.trials import Trial


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Printed is a line for each step, with times in ms from the first stimulus onset. With --output the same is drawn "
        "as trial.png and trial.svg, with trial.csv beside them."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="YAML", help="the run's configuration")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the figure")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder that 'dynvision convert' wrote: an image of it is shown, as the training sees it in that batch",
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=0,
        metavar="N",
        help="training batch, counted from 0: which permutation of a shuffled pattern, which image (default: 0)",
    )
    parser.add_argument("--visualization", type=Path, metavar="YAML", help="palette, names and order")


def run(arguments: argparse.Namespace) -> None:
    """Print the trial, and draw it if there is a place for that.

    Raises:
        InputError: the configuration or the data cannot be used, or there is no such batch.
    """
    from dynvision.config.run import read_run_config

    config = read_run_config(arguments.config)
    if arguments.batch < 0:
        raise InputError(f"--batch {arguments.batch} must be 0 or more")
    frame = _training_image(config, arguments.data, arguments.batch) if arguments.data else None
    model = _model(config)
    course = model.trial_course(shuffle=True, batch=arguments.batch)
    print(describe(config, course))
    if arguments.output is None:
        return
    from dynvision.visualization.config_file import read_visualization
    from dynvision.visualization.save import save_figure
    from dynvision.visualization.style import Style
    from dynvision.visualization.trial import draw_trial

    style = Style(read_visualization(arguments.visualization))
    for path in save_figure(draw_trial(course.steps(), course.dt, frame, style), arguments.output, style):
        print(path)


def describe(config: RunConfig, course: Trial) -> str:
    """A trial as text: its parameters and a line for each step."""
    args = config.model.args
    idle, shown, residual = (
        n * course.dt for n in (course.idle_steps, len(course.on), course.residual_steps)
    )
    shuffled = ", shuffled" if args.get("shuffle_presentation_pattern") else ""
    lines = [
        f"{config.run_id}: idle {idle:g} ms, presentation {shown:g} ms, residual {residual:g} ms; dt {course.dt:g} ms",
        f"pattern {args.get('data_presentation_pattern', '1')}{shuffled}, "
        f"reaction time {args.get('loss_reaction_time', 0):g} ms",
        "",
        f"{'time (ms)':>9}  {'phase':12}  {'input':5}  label that counts",
    ]
    for step in course.steps():
        counts = "-" if step.scored_frame_ms is None else f"of the frame at {step.scored_frame_ms:g} ms"
        sees = "image" if step.sees_image else "null"
        lines.append(f"{step.time_ms:9g}  {step.phase:12}  {sees:5}  {counts}")
    return "\n".join(lines)


def _model(config: RunConfig) -> BaseModel:
    from dynvision.models.build import build_model

    data = config.data
    return build_model(config, (data.n_channels, data.resolution, data.resolution), n_classes=10)


def _training_image(config: RunConfig, folder: Path, batch: int) -> NDArray[np.float32]:
    """The first image of a training batch, (H, W, 3) in 0..1, augmented as it is shown."""
    import numpy as np

    from dynvision.data import DataModule

    data = DataModule(folder, config.data, config.training.batch_size, seed=config.seed)
    loader: Any = data.train_dataloader()
    epoch, place = divmod(batch, len(loader))
    loader.load_state_dict({"epoch": epoch, "n_shown": place})
    images, _ = next(iter(loader))
    pixels = loader.pixels(images[:1])[0].permute(1, 2, 0).numpy()
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy()
