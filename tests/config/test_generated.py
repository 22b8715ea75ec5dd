"""The files in ``config/`` that are made from the schemas."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynvision.config.generated import check_generated, generated_files, write_generated
from dynvision.errors import InputError


def test_generated_files_are_in_sync(config_dir: str) -> None:
    check_generated(Path(config_dir))


def test_a_file_out_of_sync_is_named_and_mended(config_dir: str, tmp_path: Path) -> None:
    write_generated(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")} == set(generated_files())
    check_generated(tmp_path)
    (tmp_path / "README.md").write_text("changed")
    (tmp_path / "schema" / "workflow.json").unlink()
    with pytest.raises(InputError) as error:
        check_generated(tmp_path)
    assert str(error.value) == (
        f"not as the schemas state: {tmp_path}/README.md, {tmp_path}/schema/workflow.json; run 'dynvision config sync'"
    )
