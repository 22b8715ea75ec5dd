"""Files that are whole or absent: written under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dynvision.errors import InputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to, which replaces ``path`` when the block ends without an error.

    The temporary name keeps the suffix, since writers choose a format by it. After an error nothing is left behind.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.stem}.{secrets.token_hex(4)}{final.suffix}")
    try:
        temporary.touch(exist_ok=False)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())  # last, since some writers put a file of their own in its place
        os.replace(temporary, final)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # what the user knows of is the final name
            error.filename, error.filename2 = str(final), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(folder: str | Path) -> None:
    """Check that a folder can be written to, or made if it is not there.

    Raises:
        InputError: it cannot; the message names the folder that stands in the way.
    """
    nearest = Path(folder).absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise InputError(f"{folder} cannot be a folder, since {nearest} is a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"no permission to write into the folder {nearest}")


def remove_leftovers(*paths: str | Path) -> None:
    """Remove the temporary files of writers of these paths that were killed. No other process may be writing them."""
    for path in map(Path, paths):
        for leftover in path.parent.glob(f".{glob.escape(path.stem)}.*{path.suffix}"):
            leftover.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
