"""Files of public data sets: where they lie, and getting and unpacking them once, whole, with their checksum.

They lie in ``data/<name>/`` below the working directory, or below the folder that ``DYNVISION_DATA`` names. A file or
folder appears under its name when everything is in it; an archive writes nothing outside of its folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import secrets
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dynvision.errors import InputError
from dynvision.files import atomic_path, file_sha256, remove_leftovers

DATA_VARIABLE = "DYNVISION_DATA"
TIMEOUT_S = 30.0  # without an answer
CHUNK_BYTES = 2**20
LARGEST_BYTES = 2**30  # of a file; the largest one has 340 MB


@dataclass(frozen=True)
class Download:
    """A file of a data set.

    Attributes:
        file: its name in the data set's folder.
        url: where it comes from.
        sha256: its checksum, of which `dynvision.data.sources` states where it was published.
    """

    file: str
    url: str
    sha256: str


def dataset_folder(name: str) -> Path:
    """Return the folder with the files of a data set, whether or not it is there."""
    return Path(os.environ.get(DATA_VARIABLE) or "data").expanduser() / name


def fetch(downloads: tuple[Download, ...], folder: Path) -> tuple[Path, ...]:
    """Return the files of a data set, each downloaded if it is not there.

    A file appears only when it is whole. Its checksum is verified at each call, also of a file that was put there by hand.

    Raises:
        InputError: a file is not there and cannot be downloaded, in which case the message states which files to put
            where; or it is another file.
    """
    paths = tuple(folder / download.file for download in downloads)
    for download, path in zip(downloads, paths, strict=True):
        if path.is_file():
            _verify(download, path)
    if all(path.is_file() for path in paths):
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one_process(folder):
        for download, path in zip(downloads, paths, strict=True):
            if not path.is_file():
                remove_leftovers(path)
                print(f"downloading {download.url} to {path}", flush=True)
                try:
                    download_file(download.url, path, download.sha256, LARGEST_BYTES)
                except InputError as error:
                    raise InputError(f"{error}; {by_hand(downloads, folder)}") from None
    return paths


def _verify(download: Download, path: Path) -> None:
    """Raises: InputError: a file is another one."""
    if (found := file_sha256(path)) != download.sha256:
        raise InputError(
            f"{path} is not the file of {download.url}: its SHA-256 is {found}, not {download.sha256}; delete it and run "
            "again"
        )


def by_hand(downloads: tuple[Download, ...], folder: Path) -> str:
    """Return what to do where a download does not work."""
    files = ", ".join(download.file for download in downloads)
    sites = ", ".join(dict.fromkeys(download.url.rpartition("/")[0] + "/" for download in downloads))
    return f"put {files} (from {sites}) into {folder} and run again"


# By hand, since pooch has no limit to the size of what comes, resumes nothing either, and takes 150 ms to import.
def download_file(url: str, path: Path, sha256: str, max_bytes: int) -> None:
    """Download a file, whole and with its checksum, or not at all.

    Raises:
        InputError: the address does not answer, or what comes is another file or a larger one than allowed.
    """
    too_large = InputError(f"what came is not the file: it has more than {max_bytes:,} bytes (max_bytes)")
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, atomic_path(path) as temporary:
            if int(response.headers.get("Content-Length") or 0) > max_bytes:
                raise too_large
            with open(temporary, "wb") as file:
                while chunk := response.read(CHUNK_BYTES):
                    if file.tell() + len(chunk) > max_bytes:
                        raise too_large
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != sha256:
                raise InputError(
                    f"what came is not the file: its SHA-256 is {digest.hexdigest()}, not {sha256}"
                )
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
        InputError,
    ) as error:
        reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        raise InputError(f"{url} cannot be downloaded ({reason})") from None


# By hand, as are the locks of runs, calls and GPUs. filelock refuses file systems without locks, where whole files are
# enough here; it has no lock that several share, none of many files at once, and keeps no text of who holds it.
@contextlib.contextmanager
def _only_one_process(folder: Path) -> Iterator[None]:
    """Let others that want the same files wait for them."""
    with open(folder / ".lock", "w") as lock:
        with contextlib.suppress(
            OSError
        ):  # some network file systems have no locks; files are whole without them
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError)


def unpack(archive: Path, folder: Path) -> Path:
    """Return the folder ``folder.name`` of an archive beside it, unpacked if it is not there.

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
    """Extract a file or a folder, the only members of data sets; the filters of tarfile came with Python 3.11.4."""
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
    """Return the error for an archive that cannot be read."""
    reason = str(error).partition("\n")[0].rstrip(":") or type(error).__name__
    return InputError(f"{archive} is damaged ({reason}); delete it and run again")
