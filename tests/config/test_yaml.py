"""One reader for YAML: words of YAML 1.2, no key twice, and the same text in a file and on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dynvision.cluster.settings import read_site
from dynvision.config.layers import read_layers
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.workflow import load_workflow_config
from dynvision.config.yaml_text import check_given_once, given_values, one_line, parse, read_yaml, to_yaml
from dynvision.errors import InputError
from dynvision.runs import plan_workflow

WORDS = [
    ("5", 5), ("-5", -5), ("+5", 5), ("0", 0), ("5.", 5.0), (".5", 0.5), ("1e-3", 0.001), ("1E3", 1000.0), ("1e5", 1e5),
    ("0o17", 15), ("0x1F", 31), ("-.inf", float("-inf")), ("true", True), ("False", False), ("TRUE", True),
    ("null", None), ("~", None), ("", None), ("Null", None), ("'5'", "5"), ('"true"', "true"),
    # What YAML 1.1 takes for something else: octal numbers, base 60, truth values, dates, thousands.
    ("0001", "0001"), ("010", "010"), ("00", "00"), ("-07", "-07"), ("00.5", "00.5"), ("12:00:00", "12:00:00"),
    ("1:30", "1:30"), ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("2024-05-01", "2024-05-01"),
    ("1_000", "1_000"), ("0b11", "0b11"), ("=", "="), ("none", "none"), ("inf", "inf"), ("1.2.3", "1.2.3"), ("e5", "e5"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), WORDS)
def test_a_text_means_the_same_in_a_file_and_on_the_command_line(
    text: str, value: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(f"key: {text}\ninside: {{deep: [{text or 'null'}]}}\n")
    in_file = read_yaml(tmp_path / "a.yaml")
    given = given_values([f"key={text}", f"inside={{deep: [{text or 'null'}]}}"])
    assert repr(in_file) == repr(given) == repr({"key": value, "inside": {"deep": [value]}})


def test_keys_are_text_as_it_is_written() -> None:
    assert parse("{010: a, 1e3: b, true: c, 12: d, yes: e, ~: f}", "it") == {
        "010": "a", "1e3": "b", "true": "c", "12": "d", "yes": "e", "~": "f"
    }  # fmt: skip


TWICE = [
    ("training: {epochs: 3}\nseed: 1\ntraining: {batch_size: 8}\n", "'training' twice, in lines 1 and 3"),
    ("a: 1\nmodel_args:\n  tau: 5\n  dt: 1\n  tau: 8\n", "'model_args.tau' twice, in lines 3 and 5"),
    ("a: 1\n'a': 2\n", "'a' twice, in lines 1 and 2"),
    ("a:\n  - {b: 1, b: 1}\n", "'a.b' twice, in lines 2 and 2"),
    ("1: a\n'1': b\n", "'1' twice, in lines 1 and 2"),
    ("x: &x {b: 1}\ny:\n  <<: *x\n  <<: *x\n", "'y.<<' twice, in lines 3 and 4"),
]


@pytest.mark.parametrize(("text", "message"), TWICE)
def test_a_key_that_is_given_twice_is_refused_with_both_lines(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "config_workflow.yaml").write_text(text)
    with pytest.raises(InputError, match=f"config_workflow.yaml has the key {message}; make one of the two"):
        read_layers(tmp_path, {})


def test_every_file_of_the_project_is_read_so(tmp_path: Path) -> None:
    for name in ("config_data.yaml", "config_experiments.yaml", "modes/debug.yaml", "extra.yaml"):
        folder = tmp_path / name.replace("/", "-")
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text("seed: 1\nseed: 2\n")
        files = [path] if name == "extra.yaml" else []
        with pytest.raises(InputError, match="'seed' twice, in lines 1 and 2"):
            read_layers(folder, {"mode": "debug"} if "modes" in name else {}, files)
    (tmp_path / "site.yaml").write_text("cpus: 4\ncpus: 8\n")
    with pytest.raises(InputError, match="'cpus' twice, in lines 1 and 2"):
        read_site(tmp_path / "site.yaml")
    (tmp_path / "site.yaml").write_text("max_runtime: 12:00:00\n")
    with pytest.raises(InputError, match="max_runtime='12:00:00' is not valid"):
        read_site(tmp_path / "site.yaml")


def test_two_values_of_one_key_on_the_command_line() -> None:
    with pytest.raises(InputError, match=r"--config has the key 'seed' twice"):
        given_values(["seed=1", "seed=2"])
    with pytest.raises(InputError, match="'tau' twice"):
        given_values(["model_args={tau: 1, tau: 2}"])
    for text in ("seed", "=1"):
        with pytest.raises(InputError, match="is not key=value"):
            given_values([text])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "seed=1", "-n", "--config", "tau=2"],
        ["--config=seed=1", "-C", "tau=2"],
        ["-C", "seed=1", "-Ctau=2"],
        ["-nC", "seed=1", "--config", "tau=2"],
    ],
)
def test_a_second_config_is_refused(arguments: list[str]) -> None:
    with pytest.raises(InputError, match="is given 2 times, and Snakemake takes the last one alone"):
        check_given_once(["snakemake", *arguments])
    others = ["--configfile", "a.yaml", "--configfiles", "b.yaml", "-c", "2", "--cores=2", "model_name=-C"]
    check_given_once(["snakemake", "--config", "seed=1", *others])


def test_leading_zeros_reach_the_run_as_they_are(config_dir: str, tmp_path: Path) -> None:
    """``pattern: 0001`` was 1, ``seed: 010`` was 8, the classes 001 and 010 were 1 and 8."""
    data = f"folder:{tmp_path}"
    text = (
        f"seed: 010\nmodel_args: {{pattern: 0001, tau: 08}}\ndata: {{group: [001, 010]}}\ndata_name: {data}\n"
    )
    (tmp_path / "a.yaml").write_text(text)
    texts = [
        "seed=010",
        "model_args={pattern: 0001, tau: 08}",
        "data={'group': ['001', 010]}",
        f"data_name={data}",
    ]
    (in_file,) = plan_workflow(config_dir, {}, [tmp_path / "a.yaml"]).runs.values()
    (given,) = plan_workflow(config_dir, given_values(texts)).runs.values()
    assert in_file == given
    assert given.seed == 10
    assert given.data.group == ("001", "010")
    assert given.model.args["data_presentation_pattern"] == "0001"
    assert given.model.args["tau"] == 8.0


def test_the_files_of_the_command_line_are_above_the_users_and_below_its_values(tmp_path: Path) -> None:
    (tmp_path / "config_workflow.yaml").write_text("seed: 1\nmodel_args: {rctype: full, tau: 5}\n")
    (tmp_path / "more.yaml").write_text("seed: 2\nmodel_args: {recurrence_type: self}\n")
    config = load_workflow_config(tmp_path, {"model_args": {"tau": 9}}, [tmp_path / "more.yaml"])
    assert config.seed == (2,)
    assert config.model_args == {"recurrence_type": "self", "tau": 9}


TRUTHS = [
    ({"seed": True}, "seed=True is not valid: true is no number"),
    ({"training": {"epochs": True}}, "training.epochs=True is not valid: true is no number"),
    ({"training": {"learning_rate": True}}, "training.learning_rate=True"),
    ({"training": {"learning_rate_factors": {"recurrence": False}}}, "false is no number"),
    ({"training": {"loss": {"ActivityLoss": True}}}, "weight=True is not valid: true is no number"),
    ({"training": {"optimizer_args": {"eps": True}}}, "optimizer_args.eps=True must be a number"),
    ({"data": {"resolution": True}}, "resolution=True"),
    ({"data": {"split_seed": False}}, "split_seed=False"),
    ({"model": {"args": {"n_timesteps": True}}}, "n_timesteps=True"),
    ({"model": {"args": {"tau": True}}}, "tau=True"),
]


@pytest.mark.parametrize(("values", "message"), TRUTHS)
def test_truth_values_are_no_numbers(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(RunConfig, values, "")


BAD = [
    ("a: &a [*a]", "a in line 1 holds itself"),
    ("a: &a {b: *a}", "a.b in line 1 holds itself"),
    ("a: !!binary aGVsbG8=", "a in line 1 has the tag !!binary"),
    ("a: !!python/object:os.system x", "has the tag !!python/object:os.system"),
    ("a: !own {b: 1}", "has the tag !own"),
    ("? [a]\n: 1", "the key in line 1 is a list or a mapping"),
    ("a: " + "9" * 5000, "a in line 1 is not a number that can be read: 99999"),
    ("a: {<<: 3}", "<< in line 1 takes a mapping, not 3"),
    ("a: !!int x", "a in line 1 is not a number"),
    ("a: " + "[" * 3000 + "]" * 3000, "nested|not valid YAML"),
    ("a: b: c", "is not valid YAML"),
    ("a: \x07", "is not valid YAML"),
    ("a: \udcff", "is not valid YAML"),
    ("--- 1\n--- 2", "is not valid YAML"),
    (
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(8)),
        "stands for more than 1,000,000 values",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD, ids=range(len(BAD)))
def test_what_stands_for_no_plain_value_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(text, "file a.yaml")
    assert "\n" not in str(caught.value) and "file a.yaml" in str(caught.value)


def test_references_and_merges_are_read() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3}\nc: {<<: [*a, *b], x: 9}\nd: *a\n"
    assert parse(text, "it")["c"] == {"x": 9, "y": 2}
    assert parse(text, "it")["d"] == {"x": 1, "y": 2}


def test_a_byte_order_mark_and_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfseed: 2\r\nmodel_name: 'BLT'\r\n")
    assert read_yaml(tmp_path / "a.yaml") == {"seed": 2, "model_name": "BLT"}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.from_regex(r"[-+0-9.eExo_:]{1,8}", fullmatch=True) | st.sampled_from([text for text, _ in WORDS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), PLAIN, max_size=4))
def test_what_is_written_is_read_back(values: dict[str, Any]) -> None:
    for text in (to_yaml(values), one_line(values)):
        assert parse(text, "it") == values
        assert yaml.safe_load(text) == values  # Snakemake's own reader, of YAML 1.1, reads profiles
