"""The complete configuration of one run: everything that can change its result."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ModelWrapValidatorHandler, PrivateAttr, field_validator, model_validator

from dynvision import plugins
from dynvision.config.data import DataConfig
from dynvision.config.identity import (
    DATA_ID,
    PLUGINS,
    RUN_ID,
    SCHEMA_VERSION,
    SOURCE,
    VERSION,
    digest,
    migrate,
    path_name,
    plugins_of_run,
    source_hash,
)
from dynvision.config.model import TemporalArgs
from dynvision.config.models import OpenArgs, check_layers, check_recurrence, find_model, registered_name
from dynvision.config.section import Section, key, validate
from dynvision.config.training import TrainingConfig
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError
from dynvision.parameter_names import MODEL_ALIASES, expand_aliases


class ModelConfig(Section):
    """A model by name, with every argument resolved."""

    identifying = ("name",)

    name: str = key("DyRCNNx4", "model by name, or package.module:Class")
    args: dict[str, Any] = key({}, "arguments of the model")

    _checked: TemporalArgs = PrivateAttr()  # the same arguments, as the model's schema has them

    def differences(self) -> dict[str, Any]:
        """Return the name, and the arguments that are not the defaults of the model's schema."""
        own = self._checked.differences()
        return {"name": self.name, **({"args": own} if own else {})}

    @model_validator(mode="wrap")
    @classmethod
    def _resolve_args(cls, values: Any, make: ModelWrapValidatorHandler[ModelConfig]) -> ModelConfig:
        if not isinstance(values, Mapping):
            return make(values)
        name = registered_name(str(values.get("name", cls.model_fields["name"].default)))
        args = resolve_model_args(name, values.get("args") or {})
        # The constructor of a class of one's own has defaults that nobody here knows; what is not given is left to it.
        given = args.model_dump(exclude_unset=isinstance(args, OpenArgs))
        model = make({**values, "name": name, "args": given})
        model._checked = args
        return model


def resolve_model_args(name: str, args: Mapping[str, Any]) -> TemporalArgs:
    """All arguments of a model: those given (short names allowed) and the defaults.

    Raises:
        InputError: an unknown model, an unknown argument, or a value or combination that is not possible.
    """
    entry = find_model(name)
    if not isinstance(args, Mapping):
        raise InputError(f"model_args must hold keys and values, not {args!r}")
    resolved = validate(entry.args, expand_aliases(args, MODEL_ALIASES, "model_args"), "model_args")
    check_recurrence(name, entry, resolved)
    check_layers(entry, resolved)
    return resolved


def changed_in_test(trained: Mapping[str, Any], given: Mapping[str, Any], varied: str = "") -> dict[str, Any]:
    """Return the arguments of a model that a test changes.

    These are the given ones, without a reaction time, since a test has no loss. An idle time is never shortened: a model
    that was trained from a longer rest, as CordsNet from its spontaneous activity, keeps it, unless the idle time is what
    varies.

    Args:
        trained: arguments that the model was trained with.
        given: arguments that the test gives.
        varied: the argument that varies in the test, if it is one.
    """
    changed = {**{name: 0.0 for name in ("loss_reaction_time",) if name in trained}, **given}
    idle = given.get("t_idle")
    if "t_idle" in given and varied != "t_idle" and not isinstance(idle, bool):
        with contextlib.suppress(
            TypeError, ValueError, OverflowError
        ):  # what is no number is refused with the rest
            changed["t_idle"] = max(float(idle), float(trained.get("t_idle", 0.0)))  # type: ignore[arg-type]
    return changed


class RunConfig(Section):
    """One run. Its id is a hash of all of this, so a changed setting is a new run."""

    model: ModelConfig = key(ModelConfig(), "the model")
    data: DataConfig = key(DataConfig(), "the data")
    training: TrainingConfig = key(TrainingConfig(), "the training")
    seed: int = key(1, "fixes initial weights, split, order, noise and shuffling", ge=0, le=2**31 - 1)

    @field_validator("seed", mode="before")
    @classmethod
    def _seed_may_have_leading_zeros(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isdigit() else value

    @model_validator(mode="after")
    def _split_seed_is_known(self) -> RunConfig:
        if self.data.split_seed is None:
            data = self.data.model_copy(update={"split_seed": self.seed})
            # Frozen for everyone else; here the section is not finished yet.
            object.__setattr__(self, "data", data)
        return self

    # Read from the file and not computed again, since an older version hashed other things.
    _stored_ids: dict[str, str] = PrivateAttr(default_factory=dict)
    _source: str = PrivateAttr("")

    @property
    def source(self) -> str:
        """Hash of the source of a model of one's own, as it was planned; empty for a model of DynVision."""
        return self._source

    def differences(self) -> dict[str, Any]:
        """Return the values that are not the defaults, and the hash of the source of a model of one's own."""
        return {**super().differences(), **({SOURCE: self._source} if self._source else {})}

    @property
    def plugins(self) -> tuple[str, ...]:
        """The plugins that its model, solver and losses are from."""
        return plugins_of_run(self.model.name, self.model.args, [term.name for term in self.training.loss])

    def current_source(self) -> str:
        """Return the hash of the source of what is one's own in it, as that is now."""
        return source_hash(self.model.name, self.plugins)

    @property
    def run_id(self) -> str:
        """``{model}_{data}_s{seed}_{hash8}``: readable in front, unique at the end; that of its file where it has one."""
        return self._stored_ids.get(RUN_ID) or self.own_ids[RUN_ID]

    @property
    def data_id(self) -> str:
        """``{data}_s{split seed}_{hash8}``: runs that see the same images in the same split share it."""
        return self._stored_ids.get(DATA_ID) or self.own_ids[DATA_ID]

    @cached_property
    def own_ids(self) -> dict[str, str]:
        """The ids of its values; each is a hash, which takes its time for a thousand runs."""
        model, data = self.model.name.rpartition(":")[2], path_name(self.data.name)
        return {
            RUN_ID: f"{model}_{data}_s{self.seed}_{digest(self)}",
            DATA_ID: f"{data}_s{self.data.split_seed}_{digest(self.data.images)}",
        }

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> RunConfig:
        """Return a copy; one with other values is another run."""
        copied = super().model_copy(update=update, deep=deep)
        if update:
            copied.__dict__.pop("own_ids", None)
            copied._stored_ids = {}
        return copied

    def frozen(self) -> dict[str, Any]:
        """Return what a frozen configuration holds: the version, the ids, and every value."""
        ids = {VERSION: SCHEMA_VERSION, RUN_ID: self.run_id, DATA_ID: self.data_id}
        source: dict[str, Any] = {SOURCE: self._source} if self._source else {}
        if self.plugins:
            source[PLUGINS] = list(self.plugins)
        return {**ids, **source, **self.model_dump(mode="json")}


def run_of(values: Mapping[str, Any]) -> RunConfig:
    """Return the run of sections and, for a model of one's own, the hash of its source.

    Raises:
        InputError: not a valid configuration.
    """
    source = values.get(SOURCE, "")
    if not isinstance(source, str):
        raise InputError(f"{SOURCE}={source!r} must be text; freeze the run again")
    plugins.load(plugins.names(values.get(PLUGINS)))
    run = validate(
        RunConfig, {name: value for name, value in values.items() if name not in (SOURCE, PLUGINS)}, ""
    )
    run._source = source
    return run


def read_run_config(path: str | Path) -> RunConfig:
    """Read a frozen configuration.

    Raises:
        InputError: the file is missing, is not YAML, or is not a valid configuration.
    """
    values = read_yaml(path)
    try:
        return thaw(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def thaw(values: Mapping[str, Any]) -> RunConfig:
    """Return the run of a frozen configuration of this or an older version; its ids are those that it has there.

    Raises:
        InputError: it is of a newer version, or not a valid configuration.
    """
    migrated = migrate(values)
    ids = {name: str(migrated.pop(name)) for name in (RUN_ID, DATA_ID) if name in migrated}
    run = run_of(migrated)
    # Ids of an older version may differ from what its values hash to today; of this version that is an edited file.
    stored = {name: value for name, value in ids.items() if getattr(run, name) != value}
    if stored and values.get(VERSION) == SCHEMA_VERSION:
        raise InputError(
            f"its values are of run {run.run_id}, not of {ids.get(RUN_ID)}, whose id it has; a frozen configuration is not "
            "edited: change the workflow's configuration, which makes another run"
        )
    if stored:
        run._stored_ids = stored
    return run
