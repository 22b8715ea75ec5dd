"""Files are whole or absent."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
from pathlib import Path

import pytest

from dynvision.files import atomic_path, is_abandoned, remove_abandoned, remove_leftovers, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_what_was_given_and_makes_the_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "table.csv", "τ\n")
    assert (tmp_path / "new" / "table.csv").read_bytes() == "τ\n".encode()
    assert names(tmp_path / "new") == ["table.csv"]


def test_replaces_only_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".csv" and temporary.parent == tmp_path
    assert path.read_text() == "new"
    assert names(tmp_path) == ["table.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_inside_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_nothing_appears_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "table.csv"):
        raise ZeroDivisionError
    assert names(tmp_path) == []


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "table.csv", "")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "table.csv").stat().st_mode) == 0o666 & ~mask


def test_an_error_names_the_final_file(tmp_path: Path) -> None:
    final = tmp_path / "table.csv"
    with pytest.raises(OSError) as error, atomic_path(final):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert error.value.filename == str(final)
    final.mkdir()
    with pytest.raises(IsADirectoryError) as error:
        write_text(final, "")
    assert error.value.filename == str(final) and error.value.filename2 is None
    assert names(tmp_path) == ["table.csv"]


def test_a_read_only_disk_is_said_of_the_final_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)  # as such a disk does, also of a file that is not there
    with pytest.raises(OSError, match="Read-only") as error:
        write_text(tmp_path / "table.csv", "new")
    assert error.value.filename == str(tmp_path / "table.csv")


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error, atomic_path(tmp_path / "table.csv"):
        (tmp_path / "source.csv").read_text()
    assert error.value.filename == str(tmp_path / "source.csv")


def write_many(path: Path, letter: str) -> None:
    for _ in range(30):
        write_text(path, letter * 100_000)


def test_concurrent_writers_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(path, letter)) for letter in "abc"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            content = path.read_text()
            assert len(content) == 100_000 and len(set(content)) == 1
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert names(tmp_path) == ["table.csv"]


def test_a_writer_may_put_its_own_file_in_place(tmp_path: Path) -> None:
    """As safetensors does, with permissions for nobody else."""
    before = os.umask(0o022)
    try:
        with atomic_path(tmp_path / "model.safetensors") as temporary:
            temporary.unlink()
            temporary.touch(0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == 0o644


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    kept = ["table.csv", ".table.csv", ".other.abc.csv", ".table.abc.json", "[a].abc.csv"]
    for name in [*kept, ".table.abc.csv", ".table.x.y.csv", ".[a].abc.csv"]:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "table.csv", tmp_path / "[a].csv", tmp_path / "none" / "table.csv")
    assert names(tmp_path) == sorted(kept)


def abandoned(path: Path) -> Path:
    """What a process that was killed while it wrote has left."""
    child = os.fork()
    if child == 0:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (left,) = (found for found in path.parent.glob(f".{path.stem}.*{path.suffix}") if is_abandoned(found))
    return left


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left, other = abandoned(tmp_path / "figure.png"), abandoned(tmp_path / "figure.svg")
    with atomic_path(tmp_path / "figure.png") as temporary:
        assert not left.exists() and other.exists()
        with atomic_path(tmp_path / "figure.png"):  # of this process, at the same time
            assert temporary.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "figure.png"]


def test_everything_that_killed_writers_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "figures" / "contrast"
    folder.mkdir(parents=True)
    abandoned(folder / "measures.svg")
    abandoned(tmp_path / "runs.csv")
    kept = [
        tmp_path / ".measures.a1b2c3d4-1-00ff.svg",
        tmp_path / ".hidden-a-b.csv",
    ]  # another machine's; the user's
    for path in kept:
        path.touch()
    with atomic_path(folder / "peak.png") as temporary:
        remove_abandoned(tmp_path)
        assert temporary.exists()
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {*kept, folder / "peak.png"}
