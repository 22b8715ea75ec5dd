"""No test fails because the machine is busy: none asserts how long something took, and none gives up waiting.

What hangs is ended by the one limit in ``pyproject.toml``. Speed is tested by counting work, with
:func:`tests.processes.n_calls`, and measured in ``benchmarks/``.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CLOCK = r"(?:time\.(?:monotonic|perf_counter|process_time|thread_time|time)(?:_ns)?\(\)|\bcpu_s\b|\belapsed\b|\bwaited\b)"
PATTERNS = {
    "an assert of how long something took": rf"^\s*assert [^#\n]*{CLOCK}[^#\n]*[<>]|^\s*assert [^#\n]*[<>][^#\n]*{CLOCK}",
    "a limit on a process or a wait": r"\b(?:timeout|timeout_s)\s*=\s*\d|\.(?:wait|communicate|join|poll)\([1-9]",
    "a limit of one test": r"pytest\.mark\.timeout\(",
    "a deadline of hypothesis": r"\bdeadline\s*=\s*(?!None\b)\S",
}
OF_CLUSTERS = "pytest.mark.cluster"  # a real one answers, or the test says that it does not
ALLOWED = {"tests/cluster/slurm_cluster.py", "tests/test_busy_machine.py"}


def offences(text: str) -> list[str]:
    return [name for name, pattern in PATTERNS.items() if re.search(pattern, text, re.MULTILINE)]


def test_no_test_looks_at_a_clock() -> None:
    texts = {path.relative_to(TESTS.parent).as_posix(): path.read_text() for path in TESTS.rglob("*.py")}
    checked = [name for name, text in texts.items() if name not in ALLOWED and OF_CLUSTERS not in text]
    assert {name: found for name in checked if (found := offences(texts[name]))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "assert time.monotonic() - start < 2",
        "    assert 3 > time.process_time() - began",
        "assert outcome.cpu_s < 5",
        "assert outcome.status == 0 and outcome.cpu_s < 1",
        "subprocess.run(command, timeout=250)",
        "def wait(condition, timeout_s=60): ...",
        "process.wait(60)",
        "thread.join(20)",
        "@pytest.mark.timeout(900)",
        "@settings(deadline=200)",
    ],
)
def test_what_is_looked_for_is_found(text: str) -> None:
    assert len(offences(text)) == 1


def test_the_limit_of_all_tests_is_far_away() -> None:
    settings = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    (whole,) = re.findall(r"timeout (\d+)m make test", (TESTS.parent / ".ci" / "run").read_text())
    assert 600 <= settings["timeout"] <= 60 * int(whole) / 2  # so that a test that hangs is named
