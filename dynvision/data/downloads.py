"""Files of public data sets: where they lie, and getting them once, whole, with their checksum.

They lie in ``data/<name>/`` below the working directory, or below the folder that ``DYNVISION_DATA`` names.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dynvision.errors import InputError
from dynvision.files import atomic_path, remove_leftovers

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
        md5: its checksum, as published.
    """

    file: str
    url: str
    md5: str


def dataset_folder(name: str) -> Path:
    """Folder with the files of a data set, whether or not it is there."""
    return Path(os.environ.get(DATA_VARIABLE) or "data").expanduser() / name


def fetch(downloads: tuple[Download, ...], folder: Path) -> tuple[Path, ...]:
    """The files of a data set, each downloaded if it is not there. A file appears only when it is whole.

    Raises:
        InputError: a file is not there and cannot be downloaded; the message says which files to put where.
    """
    paths = tuple(folder / download.file for download in downloads)
    if all(path.is_file() for path in paths):
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one_process(folder):
        for download, path in zip(downloads, paths, strict=True):
            if not path.is_file():
                remove_leftovers(path)
                try:
                    _download(download, path)
                except _FAILURES as error:
                    raise InputError(
                        f"{download.url} cannot be downloaded ({_reason(error)}); {by_hand(downloads, folder)}"
                    ) from None
    return paths


_FAILURES = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, InputError)


def by_hand(downloads: tuple[Download, ...], folder: Path) -> str:
    """What to do where a download does not work."""
    files = ", ".join(download.file for download in downloads)
    sites = ", ".join(dict.fromkeys(download.url.rpartition("/")[0] + "/" for download in downloads))
    return f"put {files} (from {sites}) into {folder} and run again"


def _download(download: Download, path: Path) -> None:
    print(f"downloading {download.url} to {path}", flush=True)
    digest = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(download.url, timeout=TIMEOUT_S) as response, atomic_path(path) as temporary:
        _check_size(int(response.headers.get("Content-Length") or 0))
        with open(temporary, "wb") as file:
            while chunk := response.read(CHUNK_BYTES):
                _check_size(file.tell() + len(chunk))
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != download.md5:
            raise InputError(
                f"what came is not the file: its MD5 is {digest.hexdigest()}, not {download.md5}"
            )


def _check_size(n_bytes: int) -> None:
    if n_bytes > LARGEST_BYTES:
        raise InputError(f"what came is not the file: it has more than {LARGEST_BYTES:,} bytes")


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error or type(error).__name__)


@contextlib.contextmanager
def _only_one_process(folder: Path) -> Iterator[None]:
    """Let others that want the same files wait for them."""
    with open(folder / ".lock", "w") as lock:
        with contextlib.suppress(
            OSError
        ):  # some network file systems have no locks; files are whole without them
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
