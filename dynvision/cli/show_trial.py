"""``dynvision show-trial``: what a network sees in a trial, and which labels count.

Without ``--experiment`` it is a trial of the training; with it, the trials of all values of an experiment. The network is
that of a run's frozen configuration, or the first that the workflow's configuration asks for: nothing has to be run before.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynvision.cli.arguments import add_config_dir_argument, add_values_argument
from dynvision.errors import InputError
from dynvision.text import aligned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dynvision.base import BaseModel
    from dynvision.config.experiment import ExperimentConfig
    from dynvision.config.run import RunConfig
    from dynvision.config.workflow import WorkflowConfig
    from dynvision.trials import Trial


def add_show_trial_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        "Printed is a line for each step, with times in ms from the first stimulus onset. With --output the same is drawn "
        "as trial.png and trial.svg, with trial.csv beside them. With --experiment, what is on the screen at each value of "
        "the parameter is printed, and drawn as pictures, noise and masks included (trials.png)."
    )
    add_values_argument(parser, "model_name=DyRCNNx2 plugins=my_stimuli.py")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="YAML",
        help="a run's frozen configuration (default: the first run that the files of --config-dir ask for)",
    )
    parser.add_argument(
        "--experiment",
        metavar="NAME",
        help="an experiment by name, or its frozen YAML file: its trials are shown",
    )
    add_config_dir_argument(parser, "experiments by name, and the run where --config names none")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the figure")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder that 'dynvision convert' wrote: an image of it is shown, as the training sees it in that batch, or "
        "the first test image in an experiment",
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=0,
        metavar="N",
        help="training batch, counted from 0: which permutation of a shuffled pattern, which image (default: 0)",
    )
    parser.add_argument("--visualization", type=Path, metavar="YAML", help="palette, names and order")


def run_show_trial(arguments: argparse.Namespace) -> None:
    """Print the trial, and draw it if there is a place for that.

    Raises:
        InputError: the configuration or the data cannot be used, or there is no such batch.
    """
    if arguments.batch < 0:
        raise InputError(f"--batch {arguments.batch} must be 0 or more")
    config, workflow = _configured(arguments)
    if arguments.experiment is not None:
        _run_experiment(config, workflow, arguments)
        return
    frame = _training_image(config, arguments.data, arguments.batch) if arguments.data else None
    model = _model(config)
    course = model.trial_course(shuffle=True, batch=arguments.batch)
    print(describe(config, course))
    if arguments.output is None:
        return
    from dynvision.cli.arguments import read_visualization
    from dynvision.visualization.save import save_figure
    from dynvision.visualization.style import Style
    from dynvision.visualization.trial import draw_trial

    style = Style(read_visualization(arguments.visualization))
    for path in save_figure(draw_trial(course, frame, style), arguments.output, style):
        print(path)


def _configured(arguments: argparse.Namespace) -> tuple[RunConfig, WorkflowConfig | None]:
    """Return the run whose network is shown, and the workflow's configuration unless files state all that is asked for."""
    from dynvision.config.run import read_run_config
    from dynvision.config.workflow import load_workflow_config
    from dynvision.config.yaml_text import given_values
    from dynvision.runs import expand_runs

    config = None if arguments.config is None else read_run_config(arguments.config)
    name = None if _is_file(arguments.experiment) else arguments.experiment
    if config is not None and name is None:
        if arguments.values:
            raise InputError(
                f"{arguments.values[0]} changes nothing beside --config {arguments.config}; leave one of them out"
            )
        return config, None
    values = given_values(arguments.values)
    workflow = load_workflow_config(
        arguments.config_dir, values if name is None else {**values, "experiment": name}
    )
    return config or next(iter(expand_runs(workflow).values())), workflow


def _is_file(experiment: str | None) -> bool:
    return experiment is not None and experiment.endswith((".yaml", ".yml"))


def describe(config: RunConfig, course: Trial) -> str:
    """Return a trial as text: its parameters and a line for each step."""
    args = config.model.args
    idle, shown, residual = (
        n * course.dt for n in (course.idle_steps, len(course.on), course.residual_steps)
    )
    shuffled = ", shuffled" if args.get("shuffle_presentation_pattern") else ""
    rows: list[tuple[str, ...]] = [("time (ms)", "phase", "input", "label that counts")]
    for step in course.steps():
        counts = "-" if step.scored_frame_ms is None else f"of the frame at {step.scored_frame_ms:g} ms"
        rows.append((f"{step.time_ms:g}", step.phase, "image" if step.sees_image else "null", counts))
    lines = [
        f"{config.run_id}: idle {idle:g} ms, presentation {shown:g} ms, residual {residual:g} ms; dt {course.dt:g} ms",
        f"pattern {args.get('data_presentation_pattern', '1')}{shuffled}, "
        f"reaction time {args.get('loss_reaction_time', 0):g} ms",
        "",
    ]
    return "\n".join([*lines, *aligned(rows, right=(0,))])


def _run_experiment(
    config: RunConfig, workflow: WorkflowConfig | None, arguments: argparse.Namespace
) -> None:
    """Print the trials of an experiment, and draw them if there is a place for that."""
    from dynvision.analysis.conditions import read_experiment
    from dynvision.config.run import changed_in_test, resolve_model_args
    from dynvision.trials.presentation import experiment_trials

    name, look = str(arguments.experiment), arguments.visualization
    if look is None and workflow is not None:
        look = workflow.visualization
    if workflow is None or _is_file(name):
        named = read_experiment(Path(name))
        name, experiment = named.name, named.config
    else:
        chosen = workflow.selected_experiments()
        if len(chosen) != 1:
            raise InputError(f"--experiment {name} is {len(chosen)} experiments; give the name of one")
        ((name, experiment),) = chosen.items()
    changed = changed_in_test(config.model.args, experiment.model_args, experiment.parameter)
    args = resolve_model_args(config.model.name, {**config.model.args, **changed})
    trials = experiment_trials(experiment, args.dt)
    print(describe_trials(name, experiment, trials))
    if arguments.output is None:
        return
    from dynvision.cli.arguments import read_visualization
    from dynvision.config.parameter import all_parameters
    from dynvision.config.visualization import VisualizationConfig
    from dynvision.experiments.batches import each_batch, pixel_scale
    from dynvision.experiments.screen import example_screen, trial_pictures
    from dynvision.visualization.names import parameter_label
    from dynvision.visualization.save import save_figure
    from dynvision.visualization.style import Style
    from dynvision.visualization.trial import draw_filmstrip

    n_others = max(trial.n_others for trial in trials)
    data = config.data
    if arguments.data is None:
        screen = example_screen((data.n_channels, data.resolution, data.resolution), n_others)
    else:
        import torch

        from dynvision.data import DataModule

        module = DataModule(
            arguments.data, data, batch_size=1, loader="torch", num_workers=1, seed=config.seed
        )
        loader = module.test_dataloader(experiment.classes(module.manifest.source))
        batch = next(iter(each_batch(loader, min(n_others + 1, loader.n_images), n_others)))
        screen = batch.on_screen(pixel_scale(loader, torch.device("cpu")))
    rows = [(trial.value, [*trial_pictures(trial, screen, float(args.non_input_value))]) for trial in trials]
    style = Style(look if isinstance(look, VisualizationConfig) else read_visualization(look))
    known = experiment.parameter in all_parameters()
    label = parameter_label(experiment.parameter, style) if known else experiment.parameter
    for path in save_figure(draw_filmstrip(name, label, rows, style), arguments.output, style):
        print(path)


def describe_trials(name: str, experiment: ExperimentConfig, trials: list[Trial]) -> str:
    """Return the trials of an experiment as text: for each value what is on the screen, from when to when."""
    from dynvision.trials import parts_of

    lines = [
        f"{name}: {experiment.parameter} {', '.join(f'{value:g}' for value in experiment.values)}; "
        f"-{experiment.baseline_ms:g} to {experiment.recorded_ms:g} ms, dt {trials[0].dt:g} ms",
        "",
    ]
    rows: list[tuple[str, ...]] = [("value", "from (ms)", "to (ms)", "shown", "contrast")]
    for trial in trials:
        step = -trial.onset_step
        for part in parts_of(trial):
            n_steps = sum(segment.n_steps for segment in part)
            contrasts = sorted({segment.contrast for segment in part})
            contrast = f"{contrasts[0]:g}" + (f" to {contrasts[-1]:g}" if len(contrasts) > 1 else "")
            start, end = step * trial.dt, (step + n_steps) * trial.dt
            noise = (
                f", {trial.noise.config.type} noise" if trial.noise and part[0].content.takes_noise else ""
            )
            contrast = "-" if part[0].is_null else contrast + noise
            rows.append(
                (*(f"{number:g}" for number in (trial.value, start, end)), part[0].content.shown, contrast)
            )
            step += n_steps
    return "\n".join([*lines, *aligned(rows, right=(0, 1, 2))])


def _model(config: RunConfig) -> BaseModel:
    from dynvision.models.build import build_model

    data = config.data
    return build_model(config, (data.n_channels, data.resolution, data.resolution), n_classes=10)


def _training_image(config: RunConfig, folder: Path, batch: int) -> NDArray[np.float32]:
    """Return the first image of a training batch, (H, W, 3) in 0..1, augmented as it is shown."""
    import numpy as np

    from dynvision.data import DataModule

    data = DataModule(folder, config.data, config.training.batch_size, seed=config.seed)
    loader: Any = data.train_dataloader()
    epoch, place = divmod(batch, len(loader))
    loader.load_state_dict({"epoch": epoch, "n_shown": place})
    images, _ = next(iter(loader))
    pixels = loader.pixels(images[:1])[0].permute(1, 2, 0).numpy()
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy()
