"""Unpacking an archive once, whole: the folder appears when everything is in it. Nothing is written outside of it."""

from __future__ import annotations

import os
import secrets
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

from dynvision.errors import InputError

DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError)


def unpack(archive: Path, folder: Path) -> Path:
    """The folder ``folder.name`` of an archive beside it, unpacked if it is not there.

    Args:
        archive: ``.tgz``, ``.tar.gz`` or ``.zip`` with one folder named like ``folder``.
        folder: where that folder goes.

    Raises:
        InputError: the archive is damaged, or holds something else.
    """
    if folder.is_dir():
        return folder
    for leftover in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    print(f"unpacking {archive}", flush=True)
    try:
        temporary.mkdir()
        _extract(archive, temporary)
        if not (temporary / folder.name).is_dir():
            raise InputError(f"{archive} has no folder {folder.name} in it; delete it and run again")
        os.replace(temporary / folder.name, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _extract(archive: Path, folder: Path) -> None:
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as zipped:  # drops .. and leading / from names
                zipped.extractall(folder)
        else:
            with tarfile.open(archive) as tar:
                for member in tar:
                    _extract_member(tar, member, folder.resolve())
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:  # a full disk, not a damaged archive
            raise
        raise damaged(archive, error) from None


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Files and folders, which is all that data sets are made of; the filters of tarfile came with Python 3.11.4."""
    place = (folder / member.name).resolve()
    if not place.is_relative_to(folder):
        raise tarfile.TarError(f"{member.name} would be written outside of its folder")
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    source = tar.extractfile(member) if member.isfile() else None
    if source is None:
        raise tarfile.TarError(f"{member.name} is neither a file nor a folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    with source, place.open("wb") as target:
        shutil.copyfileobj(source, target)


def damaged(archive: Path, error: Exception) -> InputError:
    """The error for an archive that cannot be read."""
    reason = str(error).partition("\n")[0].rstrip(":") or type(error).__name__
    return InputError(f"{archive} is damaged ({reason}); delete it and run again")
