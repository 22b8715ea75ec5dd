"""YAML as text and as values: the one reader and the one writer of every YAML file of the project, and of ``--config``.

Plain words are typed by the core schema of YAML 1.2, sec. 10.3.2 (https://yaml.org/spec/1.2.2), so that one text means one
thing in a file and on the command line (``--config key=value ...``):

    true, false      truth values; yes, no, on and off are text
    null, ~          nothing, as is an empty value
    12, 0o14, 0xC    whole numbers
    1.5, 1e-5, .inf  numbers
    0110, 007        text: what has leading zeros is a pattern or a name, and a key that takes a number reads it as decimal
    12:00:00         text, as are dates

Keys of mappings are text as it is written. A key that is given twice is an error, since one of the two would be lost.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dynvision.config.section import Section
from dynvision.errors import InputError, message_of

# The same parser, ten times as fast where PyYAML was built with libyaml.
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL, _BOOL, _INT, _FLOAT, _STR, _MERGE = (
    f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "merge")
)
_CORE = {
    _NULL: (r"null|Null|NULL|~|", "nN~\0"),
    _BOOL: (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    _INT: (r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    _FLOAT: (
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    _MERGE: (r"<<", "<"),
}
MOST_BYTES = 2**24  # of a file, before it is read
LARGEST = 1_000_000  # values of a file; a few lines of references to references can stand for more than fit into memory


def _core(base: Any) -> Any:
    """Return a subclass of a loader or dumper of PyYAML that knows the plain words of YAML 1.2 alone."""
    words: Any = type(f"Core{base.__name__}", (base,), {"yaml_implicit_resolvers": {}})
    for tag, (pattern, first) in _CORE.items():
        words.add_implicit_resolver(
            tag, re.compile(f"^(?:{pattern})$"), ["" if c == "\0" else c for c in first]
        )
    return words


_CoreParser = _core(_PARSER)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around every text that a reader of YAML 1.1 or 1.2 would take for something else."""


for _tag, (_pattern, _first) in _CORE.items():
    _Dumper.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), [c for c in _first if c != "\0"])


def _text(dumper: Any, value: str) -> Any:
    """Line ends that YAML alone knows stand in quotes, where they are escaped."""
    unusual = any(character in value for character in "\x85\u2028\u2029\ufeff")
    return dumper.represent_scalar(_STR, value, style='"' if unusual else None)


_Dumper.add_representer(str, _text)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; an empty file is an empty mapping.

    Raises:
        InputError: the file cannot be read as that; the message has the place.
    """
    what = f"configuration file {path}"
    try:
        if os.path.getsize(path) > MOST_BYTES:
            raise InputError(f"{what} has more than {MOST_BYTES:,} bytes; give the file of a configuration")
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{what} does not exist") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"{what} cannot be read as text: {error}") from None
    values = parse(text, what)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{what} must hold keys and values, not a {type(values).__name__}")
    return values


def parse(text: str, what: str) -> Any:
    """Return the value of a YAML text.

    Args:
        text: one YAML document.
        what: what it is, for errors, e.g. ``"configuration file config/a.yaml"``.

    Raises:
        InputError: it is not YAML, has a key twice, or a number, a tag or a reference that stands for nothing.
    """
    try:
        node = yaml.compose(text, _CoreParser)
        return None if node is None else _Reader(what).value(node, ())
    except (yaml.YAMLError, UnicodeError) as error:
        raise InputError(f"{what} is not valid YAML: {message_of(error)}") from None
    except RecursionError:
        raise InputError(f"{what} is nested too deeply") from None


class _Reader:
    """Makes plain values of the nodes of one document."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.open: list[Any] = []  # nodes that are being read, so that one that holds itself is found
        self.n_values = 0

    def value(self, node: Any, path: tuple[str, ...]) -> Any:
        """Return the value of a node; `path` has the keys that lead to it."""
        self.n_values += 1
        if self.n_values > LARGEST:
            raise InputError(
                f"{self.what} stands for more than {LARGEST:,} values; write it without references"
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        expected = "map" if isinstance(node, yaml.MappingNode) else "seq"
        if node.tag != f"tag:yaml.org,2002:{expected}":
            raise self._unknown_tag(node, path)
        if any(node is other for other in self.open):
            raise InputError(
                f"{self.what}: {self._place(node, path)} holds itself; write it without the reference"
            )
        self.open.append(node)
        if isinstance(node, yaml.MappingNode):
            result: Any = self._mapping(node, path)
        else:
            result = [self.value(item, path) for item in node.value]
        self.open.pop()
        return result

    def _mapping(self, node: Any, path: tuple[str, ...]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError(
                    f"{self.what}: the key in line {_line(key_node)} is a list or a mapping; a key is a word"
                )
            name = str(key_node.value)
            if name in lines:
                raise InputError(
                    f"{self.what} has the key {'.'.join((*path, name))!r} twice, in lines {lines[name]} and "
                    f"{_line(key_node)}; make one of the two"
                )
            lines[name] = _line(key_node)
            if key_node.tag == _MERGE:
                for part in self._merged(value_node, path):
                    merged = {**part, **merged}
            else:
                own[name] = self.value(value_node, (*path, name))
        return {**merged, **own}

    def _merged(self, node: Any, path: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """Yield the mappings after ``<<``, of which the first one wins (https://yaml.org/type/merge.html)."""
        parts = self.value(node, path)
        for part in parts if isinstance(parts, list) else [parts]:
            if not isinstance(part, dict):
                raise InputError(f"{self.what}: << in line {_line(node)} takes a mapping, not {part!r}")
            yield part

    def _scalar(self, node: Any, path: tuple[str, ...]) -> Any:
        text = node.value
        if node.tag in (_STR, _MERGE, "!"):
            return text
        if node.tag == _NULL:
            return None
        if node.tag == _BOOL and text.lower() in ("true", "false"):
            return text.lower() == "true"
        try:
            if node.tag == _INT:
                return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
            if node.tag == _FLOAT:
                return float(re.sub(r"^([-+]?)\.(inf|nan)$", r"\1\2", text.lower()))
        except ValueError:
            shown = text if len(text) <= 40 else f"{text[:40]}..."
            raise InputError(
                f"{self.what}: {self._place(node, path)} is not a number that can be read: {shown}"
            ) from None
        raise self._unknown_tag(node, path)

    def _unknown_tag(self, node: Any, path: tuple[str, ...]) -> InputError:
        tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
        return InputError(
            f"{self.what}: {self._place(node, path)} has the tag {tag}, which is not read; write the value without it"
        )

    def _place(self, node: Any, path: tuple[str, ...]) -> str:
        return f"{'.'.join(path) or 'the value'} in line {_line(node)}"


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def to_yaml(values: Section | Mapping[str, Any]) -> str:
    """A section, or sections and plain values by key, as YAML text; keys stay in their order."""
    plain = (
        _plain(values)
        if isinstance(values, Section)
        else {name: _plain(value) for name, value in values.items()}
    )
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def one_line(value: Any) -> str:
    """A plain value as YAML on one line."""
    text = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=1_000_000, allow_unicode=True
    )
    return text.strip().removesuffix("...").strip()


def _plain(value: Any) -> Any:
    return value.frozen() if isinstance(value, Section) else value


COMMAND_LINE = "--config"


def given_values(
    texts: Iterable[str], option: str = COMMAND_LINE, form: str = "key=value, e.g. mode=debug"
) -> dict[str, Any]:
    """Return keys and values of texts like ``seed=2`` or ``model_args={tau: 8}``.

    Args:
        texts: as they are given.
        option: the option that takes them, for errors.
        form: what each is, with an example.

    Raises:
        InputError: a text is not ``key=value``, a value is not YAML, or a key is given twice.
    """
    pairs = split_pairs(texts, option, form)
    return {name: parse(value, f"{option}: the value of {name}={value!r}") for name, value in pairs.items()}


def split_pairs(texts: Iterable[str], option: str, form: str) -> dict[str, str]:
    """Return names and values of texts like ``V1=layer1``, the values as they are; arguments as of `given_values`."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"{option} {text} is not {form}")
        if name in pairs:
            several = ", or give it a list" if option == COMMAND_LINE else ""
            raise InputError(f"{option} has the key {name!r} twice; remove one of them{several}")
        pairs[name] = value
    return pairs


def check_given_once(arguments: Sequence[str]) -> None:
    """Check that Snakemake was given one ``--config``, since of several it takes the last one alone.

    Args:
        arguments: those of the process, as in ``sys.argv``.

    Raises:
        InputError: there are several.
    """
    options = [text for text in arguments if re.match(r"--config(=|$)|-[npFRqckj]*C", text)]
    if len(options) > 1:
        raise InputError(
            f"{COMMAND_LINE} is given {len(options)} times, and Snakemake takes the last one alone; "
            f"write all values after one {COMMAND_LINE}: {COMMAND_LINE} model_name=DyRCNNx4 seed=2"
        )
