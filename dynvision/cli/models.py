"""``dynvision models`` lists models and trained networks; ``dynvision weights`` imports and tabulates weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dynvision.cli.arguments import add_frozen_run_arguments
from dynvision.errors import InputError, unknown_name
from dynvision.text import print_table


def add_models_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Counts are of one image of the size in px that a model was made for, and the same on every machine; times are in "
        "ms, on one thread of this one. A network that ships trained is taken by its name wherever a run is."
    )
    parser.add_argument(
        "names", nargs="*", help="models by name, or networks that ship trained; all unless given"
    )
    listed = parser.add_mutually_exclusive_group()
    listed.add_argument(
        "--times", action="store_true", help="measure time and memory of a trial instead of counting"
    )
    listed.add_argument(
        "--trained",
        action="store_true",
        help="list the networks that ship trained: accuracy on the test images, size, and what trains each again",
    )
    pages = parser.add_mutually_exclusive_group()
    pages.add_argument(
        "--update", type=Path, metavar="PAGE", help="write the table into its place in this page"
    )
    pages.add_argument(
        "--check",
        type=Path,
        metavar="PAGE",
        help="write nothing; fail if the table in this page is not true",
    )


def run_models(arguments: argparse.Namespace) -> None:
    """Count or measure, and print, write or check.

    Raises:
        InputError: a model that is not known, options that contradict each other, or a page that is not true.
    """
    from dynvision.config.models import MODELS
    from dynvision.trained import shipped_runs

    known = sorted(shipped_runs() if arguments.trained else MODELS)
    for name in arguments.names:
        if name not in known:
            raise unknown_name("trained network" if arguments.trained else "model", name, known)
    names = arguments.names or known
    if arguments.update and arguments.names:
        raise InputError("--update writes the whole table; leave out the names")
    from dynvision.models import footprint as costs

    if arguments.trained:
        from dynvision.inference.finished_run import read_shipped, trained_table

        block, table = costs.TRAINED, trained_table([read_shipped(name) for name in names])
    elif arguments.times:
        if arguments.check:
            raise InputError("--check is about counts, which are the same everywhere; leave out --times")
        block, table = costs.TIMES, costs.times_table([costs.timing(name) for name in names])
    else:
        block, table = costs.COUNTS, costs.counts_table([costs.footprint(name) for name in names])
    if arguments.update:
        costs.replace_block(arguments.update, block, table)
    elif arguments.check:
        written = costs.read_block(arguments.check, block).splitlines()
        wrong = [row.split("`")[1] for row in table.splitlines()[2:] if row not in written]
        if wrong:
            option = " --trained" if arguments.trained else ""
            raise InputError(
                f"{arguments.check} is not true of {', '.join(wrong)}; run 'dynvision models{option} --update "
                f"{arguments.check}'"
            )
    else:
        print(table)


def add_weights_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Nothing that could run code is read: checkpoints are opened with weights_only=True. Time constants are in ms, "
        "resolutions in px, weights in the model's own unit (a.u.)."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    summary = (
        "check a published checkpoint against a model, and write it as safetensors with a YAML file beside it"
    )
    command = actions.add_parser("import", help=summary, description=summary[0].upper() + summary[1:] + ".")
    command.add_argument(
        "checkpoint",
        type=Path,
        help="file of torchvision, CORnet, CordsNet or DynVision 0.1: .pth, .pt, .safetensors",
    )
    command.add_argument("--model", required=True, help="model by name, or package.module:Class")
    command.add_argument(
        "--model-args",
        default="{}",
        help="arguments that the weights do not determine, as in the workflow: '{trc: 6, rctarget: middle}'",
    )
    command.add_argument(
        "--resolution",
        type=int,
        default=0,
        help="size of the images in px; by default what the model was made for",
    )
    command.add_argument(
        "--output", type=Path, help="file to write; by default the checkpoint's name with .safetensors"
    )
    command.epilog = (
        "The YAML file can be put in place of config_workflow.yaml: it names the model and begins its training with these "
        "weights. Nothing is written unless every name and every shape fits."
    )
    summary = "write the distributions of a run's weights as a table"
    command = actions.add_parser(
        "distributions", help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    command.epilog = "A row for each layer, connection and bin; weights are in the model's own unit (a.u.)."
    add_frozen_run_arguments(command, weights=True)
    command.add_argument("--output", type=Path, required=True, help="Parquet file to write")


def run_weights(arguments: argparse.Namespace) -> None:
    """Do what the action names."""
    if arguments.action == "import":
        _import(
            arguments.checkpoint,
            arguments.model,
            arguments.model_args,
            arguments.resolution,
            arguments.output,
        )
    else:
        _write_distributions(arguments.weights, arguments.config, arguments.output)


def _import(source: Path, model: str, model_args: str, resolution: int, given: Path | None) -> None:
    args = _mapping(model_args)
    if source.is_dir():
        raise InputError(f"checkpoint {source} is a folder; give the file")
    output = given or source.with_suffix(".safetensors")
    if output.suffix != ".safetensors":
        raise InputError(f"--output {output} must end in .safetensors")
    if output.absolute() == source.absolute():
        raise InputError(f"--output would replace {source}; name another file")
    from dynvision.models.weight_import import import_weights, save_imported

    imported = import_weights(source, model, args, resolution)
    rows = [
        (name, "=" if name == own else own, " x ".join(map(str, shape)))
        for name, own, shape in imported.mapped
    ]
    rows += [(name, "(not a weight of the model)", "") for name in imported.left_out]
    print_table([("published", "here", "shape"), *rows])
    config = save_imported(imported, source, output)
    n_parameters = sum(parameter.numel() for parameter in imported.model.parameters())
    print(f"{model}: {n_parameters:,} parameters, {imported.model.n_classes} classes")
    if imported.assumed:
        print(f"assumed, since the file does not state them: {_with_units(model, imported.assumed)}")
        print("give what is otherwise with --model-args, e.g. --model-args '{trc: 4, rctarget: middle}'")
    print(f"wrote {output} and {config}")


def _with_units(model: str, values: dict[str, Any]) -> str:
    from dynvision.config.models import find_model
    from dynvision.config.yaml_text import one_line

    fields = find_model(model).args.model_fields
    units = {name: (fields[name].json_schema_extra or {}).get("unit", "") for name in values}  # type: ignore[union-attr]
    return ", ".join(f"{name} {one_line(value)} {units[name]}".rstrip() for name, value in values.items())


def _mapping(text: str) -> dict[str, Any]:
    from dynvision.config.yaml_text import parse

    values = parse(text, "--model-args")
    if not isinstance(values, dict):
        raise InputError(f"--model-args {text!r} must hold keys and values, e.g. '{{trc: 6, rctype: full}}'")
    return values


def _write_distributions(weights: Path, config: Path, output: Path) -> None:
    from dynvision.analysis import write_table
    from dynvision.analysis.weights import weight_distributions
    from dynvision.config.run import read_run_config
    from dynvision.files import opened_weights
    from dynvision.runs.made_from import file_hash, made_from, of_weights

    run_id = read_run_config(config).run_id
    with opened_weights(weights, "np") as file:
        of_run = (file.metadata() or {}).get("run_id", run_id)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if of_run != run_id:
        raise InputError(f"weights {weights} are of run {of_run}, not of {run_id}")
    with made_from(output.with_suffix(".json"), of_weights(file_hash(weights))):
        write_table(weight_distributions(tensors, run_id), output)
