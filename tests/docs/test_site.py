"""What pages promise of the site and of the installation."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_site_can_be_opened_as_files_and_has_every_key() -> None:
    """Links lead to files, the search needs no server, and the list of keys is a page."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.search(r"^use_directory_urls: false", settings, re.MULTILINE)
    assert re.search(r"^  - offline\b", settings, re.MULTILINE)
    assert "Configuration: configuration.md" in settings and "font: false" in settings


@pytest.mark.parametrize(("value", "status"), [("no", 1), ("yes", 0), (None, 0)])
def test_system_packages_are_left_alone_if_asked(value: str | None, status: int, tmp_path: Path) -> None:
    """`APT=no`: as if there were no apt-get, though there is one that may be called without a password."""
    for name in ("apt-get", "sudo"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    script = (ROOT / "scripts" / "install.sh").read_text(encoding="utf-8")
    [function] = re.findall(r"^can_apt\(\) \{\n.*?^\}", script, re.MULTILINE | re.DOTALL)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("APT", None)
    if value is not None:
        environment["APT"] = value
    done = subprocess.run(["bash", "-uc", f"{function}\ncan_apt"], env=environment)
    assert done.returncode == status
