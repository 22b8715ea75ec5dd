"""The layers of a configuration: what each file and the command line set, and which of them has the last word.

Precedence, lowest first:

    defaults      of the schemas, ``config_defaults.yaml``, ``config_data.yaml``, ``config_experiments.yaml``,
                  ``config_scorecard.yaml``, ``config_visualization.yaml``
    data set      ``data_defaults.<name>`` in any of the files, for runs on that data set
    mode          ``modes/<name>.yaml`` for each name in ``mode``, in that order
    user          ``config_workflow.yaml``
    command line  ``--configfile``, then ``--config``

Dictionaries merge key by key, everything else replaces. Arguments in ``model: {name, args}`` are those of the models that
are named beside them, whichever model a higher layer asks for; those in ``model_args`` are of every model. Short names are
expanded in each layer before merging, so that ``rctype`` on the command line replaces ``recurrence_type`` in a file.

An experiment can be written as another one and what differs, merged in the same way:

    gaussiannoiseffonly: {like: gaussiannoise, model_args: {feedforward_only: true}}

The feedforward-only twin of any experiment need not be written: its name is that of the experiment and ``ffonly``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynvision import plugins
from dynvision.config.data import expanded_name
from dynvision.config.models import registered_name
from dynvision.config.sweep import listed
from dynvision.config.yaml_text import COMMAND_LINE, read_yaml
from dynvision.errors import InputError, unknown_name
from dynvision.files import expanded
from dynvision.parameter_names import MODEL_ALIASES, TRAINING_ALIASES, expand_aliases, warn_if_changed

FEEDFORWARD_TWIN = "ffonly"
Blocks = Mapping[str, Any]


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Put one layer on another: dictionaries merge key by key, everything else is replaced."""
    # Lists are replaced and not joined: a higher layer could otherwise never make one shorter.
    merged = dict(lower)
    for name, value in upper.items():
        below = merged.get(name)
        merged[name] = (
            merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def resolve_block(name: str, blocks: Blocks, asked: tuple[str, ...] = ()) -> Any:
    """The keys of an experiment with those of the experiment that it is like.

    Raises:
        InputError: that one does not exist, or is in turn like this one.
    """
    block = blocks[name]
    other = str(block.get("like") or "") if isinstance(block, Mapping) else ""
    if not other:
        return block
    if other not in blocks:
        raise unknown_name("experiment", other, blocks, key=f"experiments.{name}.like")
    if other in (name, *asked):
        raise InputError(
            f"experiments.{name}.like: {other!r} is in turn like {name!r}; write one of them out"
        )
    return merge(resolve_block(other, blocks, (*asked, name)), block)


def feedforward_twin(name: str, experiments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The keys of the feedforward-only twin of a known experiment; None if the name does not ask for one."""
    original = name.removesuffix(FEEDFORWARD_TWIN)
    if original == name or original not in experiments:
        return None
    keys = experiments[original].model_dump()
    return merge(keys, {"like": original, "model_args": {"feedforward_only": True}})


DEFAULT_FILES = (
    "config_defaults.yaml",
    "config_data.yaml",
    "config_experiments.yaml",
    "config_scorecard.yaml",
    "config_visualization.yaml",
)
USER_FILE = "config_workflow.yaml"
CONFIG_FILES = (*DEFAULT_FILES, USER_FILE)
MODES_FOLDER = "modes"
DEFAULT, DERIVED = "default", "follows from the rest"


@dataclass(frozen=True)
class Layer:
    """What one place states, in the names of the schema.

    Attributes:
        origin: the place.
        values: keys and values.
        own_args: arguments that belong to a model, by the name that it is registered by.
    """

    origin: str
    values: dict[str, Any]
    own_args: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of_model(self, model: str | None) -> Layer:
        """Return this layer as it holds for one model, whose own arguments are among ``model_args`` then."""
        own = self.own_args.get(registered_name(model), {}) if model is not None else {}
        if not own:
            return self
        return Layer(self.origin, {**self.values, "model_args": dict(own)})


@dataclass(frozen=True)
class Layers:
    """All layers, those of each data set aside, from the lowest to the highest.

    Attributes:
        below: under the defaults of data sets.
        above: over them.
    """

    below: tuple[Layer, ...]
    above: tuple[Layer, ...]

    def all(self, data_name: str | None = None, model: str | None = None) -> tuple[Layer, ...]:
        """Return all layers: for a data set with its own in between, for a model with its own arguments."""
        below = [layer.of_model(model) for layer in self.below]
        above = [layer.of_model(model) for layer in self.above]
        if data_name is None:
            return (*below, *above)
        own = [
            Layer(f"{layer.origin}: data_defaults.{data_name}", layer.values["data_defaults"][data_name])
            for layer in (*self.below, *self.above)
            if data_name in layer.values.get("data_defaults", {})
        ]
        return (*below, *own, *above)


def read_layers(
    config_dir: str | Path, overrides: Mapping[str, Any], config_files: Sequence[str | Path] = ()
) -> Layers:
    """The layers of a configuration folder and a command line.

    Args:
        config_dir: the folder with the files; one that is absent contributes nothing.
        overrides: what ``--config`` was given, by key.
        config_files: further files that are put on those of the folder, as Snakemake's ``--configfile`` names them.

    Raises:
        InputError: a file that cannot be read, one that is nearly named as those that are, or a mode that does not exist.
    """
    folder = Path(config_dir)
    if not folder.is_dir():
        raise InputError(
            f"configuration folder {config_dir} does not exist; call in a clone, or set DYNVISION_CONFIG to its config"
        )
    _check_names(folder, config_files)
    below = tuple(_read(folder / name) for name in DEFAULT_FILES)
    user = _read(folder / USER_FILE)
    above = [user, *(_layer(str(path), read_yaml(path)) for path in config_files)]
    above.append(_layer(COMMAND_LINE, overrides))
    # Any layer may ask for modes, also those that are laid over them: so they are asked first and put in between.
    asked = merge_layers((*below, *above)).get("mode")
    modes = tuple(_read_mode(folder / MODES_FOLDER, name) for name in mode_names(asked))
    layers = Layers(below, (*modes, *above))
    # Before anything is validated, since the schemas take the names that plugins register.
    plugins.load(plugins.names(merge_layers(layers.all()).get("plugins")))
    return layers


def _check_names(folder: Path, config_files: Sequence[str | Path]) -> None:
    """Refuse a file that would not be read for a suffix, a dash, a capital or a plural; others are the user's own."""
    names = {_without_spelling(name): name for name in (*DEFAULT_FILES, USER_FILE)}
    given = {Path(path).absolute() for path in config_files}
    for path in sorted(folder.iterdir()):
        meant = names.get(_without_spelling(path.name))
        if meant not in (None, path.name) and path.absolute() not in given:
            raise InputError(
                f"configuration file {path} is not read; name it {meant}, or give it with --configfile"
            )


def _without_spelling(name: str) -> str:
    path = Path(name.lower().replace("-", "_"))
    return path.stem.removesuffix("s") if path.suffix in (".yaml", ".yml") else name


def _read(path: Path) -> Layer:
    return _layer(str(path), read_yaml(path) if path.exists() else {})


def _layer(origin: str, given: Mapping[str, Any]) -> Layer:
    """Return a layer of what was read; arguments beside the name of a model are set apart."""
    values = normalize(given, origin)
    if not isinstance(given.get("model"), Mapping) or not {"name", "args"} <= set(given["model"]):
        return Layer(origin, values)
    # Apart, so that they do not reach another model that a higher layer asks for.
    args, names = values.pop("model_args"), values["model_name"]
    named = names if isinstance(names, (list, tuple)) else [names]
    return Layer(origin, values, {registered_name(str(name)): args for name in named})


def _read_mode(folder: Path, name: str) -> Layer:
    path = folder / f"{name}.yaml"
    if not path.exists():
        raise unknown_name("mode", name, [known.stem for known in folder.glob("*.yaml")], key="mode")
    layer = _read(path)
    if "mode" in layer.values:
        raise InputError(f"{path}: a mode cannot ask for another mode; remove the key mode")
    return layer


def mode_names(value: Any) -> tuple[str, ...]:
    """The modes that are asked for; nothing, an empty text and ``none`` are none of them."""
    names = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(str(name) for name in names if name not in (None, "", "none", False))


def merge_layers(layers: Iterable[Layer]) -> dict[str, Any]:
    """What layers state together."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge(merged, layer.values)
    return merged


def origin_of(path: tuple[str, ...], value: Any, layers: Iterable[Layer]) -> str:
    """Where a value comes from.

    Args:
        path: its keys, from the outermost.
        value: the value.
        layers: from the lowest to the highest.
    """
    for layer in reversed(tuple(layers)):
        found, given = _find(layer.values, path)
        if found:
            # null, 0 and an empty text ask for a value that is worked out, as the split's seed from the run's.
            return DERIVED if given in (None, 0, "") and value not in (None, 0, "") else layer.origin
    return DEFAULT


def _find(values: Mapping[str, Any], path: tuple[str, ...]) -> tuple[bool, Any]:
    """Whether a layer sets a path, and its value; a value that is no dictionary replaces all that it could hold."""
    given: Any = values
    for name in path:
        if not isinstance(given, Mapping):
            return True, given
        if name not in given:
            return False, None
        given = given[name]
    return True, given


def normalize(layer: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """One layer of configuration in the names of the schema: ``model: {name, args}`` and short names resolved.

    Args:
        layer: keys and values, as read.
        origin: where they are from, for errors.

    Raises:
        InputError: a section that holds no keys, an unknown key of ``model``, or a key that is given twice.
    """
    values = _with_expanded_paths(layer, origin)
    if "model" in values:
        model = values.pop("model") or {}
        if not isinstance(model, Mapping):
            raise InputError(f"{origin}: model must have the keys name and args, not {model!r}")
        for given, target in {"name": "model_name", "args": "model_args"}.items():
            if given in model:
                if target in values:
                    raise InputError(
                        f"{origin}: {target} and model.{given} are the same key; remove one of them"
                    )
                values[target] = model[given]
        unknown = [name for name in model if name not in ("name", "args")]
        if unknown:
            raise unknown_name("key", unknown[0], ("name", "args"), key=f"model.{unknown[0]}")
    # In each layer, before they are merged: the short and the long name of a key would stand side by side afterwards.
    for section, aliases in {"model_args": MODEL_ALIASES, "training": TRAINING_ALIASES}.items():
        if section in values:
            values[section] = expand_aliases(
                mapping(values[section], section, origin), aliases, f"{origin}: {section}"
            )
    if "data_defaults" in values:
        # A block of a data set has the sections of a file, and is read as one.
        values["data_defaults"] = {
            str(name): normalize(
                mapping(block, f"data_defaults.{name}", origin), f"{origin}: data_defaults.{name}"
            )
            for name, block in mapping(values["data_defaults"], "data_defaults", origin).items()
        }
    if "model_defaults" in values:
        values["model_defaults"] = {
            family: _long_model_args(args, f"model_defaults.{family}", origin)
            for family, args in mapping(values["model_defaults"], "model_defaults", origin).items()
        }
    for sweep in ("category", "paired"):
        if sweep in values:
            # As a list it replaces the sweeps of a lower layer; mappings would be merged, and both be run.
            values[sweep] = listed(values[sweep])
    if "experiments" in values:
        experiments = mapping(values["experiments"], "experiments", origin)
        values["experiments"] = {
            name: _long_experiment(name, spec, origin) for name, spec in experiments.items()
        }
    return values


def _with_expanded_paths(layer: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return a layer in which ``~`` and variables are replaced in every path, also where a folder of images is a key."""

    def name(given: Any, key: str) -> Any:
        # YAML takes a colon and a space for a key.
        if isinstance(given, Mapping) and list(given) == ["folder"]:
            raise InputError(
                f"{origin}: {key} is a key 'folder'; write folder:<path>, without a space after the colon"
            )
        return expanded_name(given, f"{origin}: {key}") if isinstance(given, str) else given

    # Here and not where a path is used, so that an error names the layer that has the path.
    values = dict(layer)
    for key in ("data_defaults", "groups"):
        if isinstance(values.get(key), Mapping):
            values[key] = {name(given, key): inner for given, inner in values[key].items()}
    given = values.get("data_name")
    if given is not None:
        listed_names = isinstance(given, (list, tuple))
        values["data_name"] = (
            [name(one, "data_name") for one in given] if listed_names else name(given, "data_name")
        )
    if isinstance(values.get("results_dir"), str):
        values["results_dir"] = expanded(values["results_dir"], f"{origin}: results_dir")
    training = values.get("training")
    if isinstance(training, Mapping) and isinstance(training.get("init_with_pretrained"), str):
        path = expanded(training["init_with_pretrained"], f"{origin}: training.init_with_pretrained")
        values["training"] = {**training, "init_with_pretrained": path}
    return values


def mapping(value: Any, name: str, origin: str) -> Mapping[str, Any]:
    """A value that must hold keys and values; nothing is an empty one.

    Args:
        value: as read.
        name, origin: the key that it is of, and where that stands, for errors.

    Raises:
        InputError: it holds something else.
    """
    # `training:` with nothing below it is null in YAML.
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(
            f"{origin}: {name} must hold keys and values, not {value!r}; write '{name}={{key: value}}'"
        )
    return value


def _long_model_args(args: Any, name: str, origin: str) -> dict[str, Any]:
    return expand_aliases(mapping(args, name, origin), MODEL_ALIASES, f"{origin}: {name}")


def _long_experiment(name: str, spec: Any, origin: str) -> dict[str, Any]:
    values = dict(mapping(spec, f"experiments.{name}", origin))
    if isinstance(values.get("group"), Mapping):
        where = f"{origin}: experiments.{name}.group"
        values["group"] = {expanded_name(data, where): group for data, group in values["group"].items()}
    if "model_args" in values:
        values["model_args"] = _long_model_args(
            values["model_args"], f"experiments.{name}.model_args", origin
        )
    if isinstance(values.get("parameter"), str) and values["parameter"] in MODEL_ALIASES:
        warn_if_changed(values["parameter"], values.get("values"))
        values["parameter"] = MODEL_ALIASES[values["parameter"]]
    return values
