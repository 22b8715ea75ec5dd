"""Files that are whole or absent: written under a temporary name in the same folder, then renamed; and what a file is.

    .{stem}.{machine}{system}-{process}-{random}{suffix}

A temporary name states its writer. The file of a process of this machine that has ended is removed by the next writer of
the same file, and by the workflow when it starts jobs. Files of other machines stay, since their writers may be at work.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from dynvision.errors import InputError


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits; it is read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces ``path`` when the block ends without an error.

    The temporary name keeps the suffix, since writers choose a format by it. After an error no file is left.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    for leftover in _temporary_files(final):
        if is_abandoned(leftover):
            leftover.unlink(missing_ok=True)
    temporary = temporary_path(final)
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
        with suppress(OSError):  # a read-only disk refuses this, too; the error is that of writing
            temporary.unlink(missing_ok=True)


def temporary_path(final: Path) -> Path:
    """Return a hidden name beside a path, with the same suffix, under which this process can write."""
    return final.with_name(f".{final.stem}.{_here()}-{os.getpid()}-{secrets.token_hex(2)}{final.suffix}")


def _temporary_files(final: Path) -> Iterator[Path]:
    """Yield the temporary files of all writers of a path."""
    return final.parent.glob(f".{glob.escape(final.stem)}.*{glob.escape(final.suffix)}")


def is_abandoned(path: Path) -> bool:
    """Return whether a file has a temporary name and its writer is gone, as far as can be known from here."""
    writer = re.fullmatch(r"\..+\.([0-9a-f]{4})([0-9a-f]{4})-(\d+)-[0-9a-f]{4}(\..*)?", path.name)
    if writer is None or writer[1] != _here()[:4]:
        return False
    return writer[2] != _here()[4:] or not _is_alive(int(writer[3]))


def remove_abandoned(folder: str | Path) -> None:
    """Remove everything below a folder that processes of this machine began to write and did not end."""
    for path in Path(folder).rglob(".*-*-*"):
        if is_abandoned(path):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def running_system() -> str:
    """Return the name of this machine's system since its last boot; empty elsewhere than on Linux."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip() if boot.exists() else ""


@cache
def _here() -> str:
    """Return the machine, and its system since the last boot: four hexadecimal digits each."""
    names = (os.uname().nodename, running_system())
    return "".join(hashlib.sha256(name.encode()).hexdigest()[:4] for name in names)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def expanded(path: str, key: str) -> str:
    """Return a path with ``~`` and ``$VARIABLE`` replaced, as a shell would.

    Args:
        path: the path; one that exists as it is written stays so.
        key: the configuration key that it is of, for errors.

    Raises:
        InputError: a variable is not set, or there is no such user.
    """
    full = os.path.expandvars(os.path.expanduser(path))
    if Path(path).exists():
        return path
    unset = re.search(r"\$(\w+|\{\w+\})", full)
    if unset:
        raise InputError(
            f"{key}={path}: the environment variable {unset[1].strip('{}')} is not set; set it, or write the path out"
        )
    if full.startswith("~"):
        raise InputError(f"{key}={path}: there is no user {full.partition('/')[0][1:]}; write the path out")
    return full


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
        for leftover in _temporary_files(path):
            leftover.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def opened_weights(path: str | Path, framework: str = "pt") -> Iterator[Any]:
    """Open a file of weights (safetensors) to read from.

    Args:
        path: the file.
        framework: of its tensors, ``pt`` for torch or ``np`` for NumPy, which needs no torch.

    Raises:
        InputError: the file is missing, damaged or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open  # planning reads no weights

    if not Path(path).is_file():
        raise InputError(f"weights {path} do not exist; train the run first")
    try:
        with safe_open(str(path), framework=framework) as file:
            yield file
    except SafetensorError as error:
        kind = what_it_is(path)
        if kind != UNKNOWN_KIND:
            raise InputError(
                f"weights {path} cannot be read as safetensors, since the file is {kind}; replace it"
            ) from None
        raise InputError(
            f"weights {path} cannot be read as safetensors ({error}); delete the file and train the run again"
        ) from None


def read_header(path: str | Path) -> dict[str, str]:
    """Return the header of a file of weights, which are not read; errors as of `opened_weights`."""
    with opened_weights(path, "np") as file:
        return dict(file.metadata() or {})


START_BYTES = 512


def what_it_is(path: str | Path) -> str:
    """Return what a file is by its first bytes, to be named where another kind of file was expected.

    Reads no more than `START_BYTES`, however large the file is.
    """
    with open(path, "rb") as file:
        return kind_of(file.read(START_BYTES))


def kind_of(start: bytes) -> str:
    """Return what begins with these bytes, at least `START_BYTES` of them or all that there are."""
    start = start[:START_BYTES]
    if not start:
        return "an empty file"
    if not any(start):
        return "a file of zeros, as an interrupted copy leaves it"
    for sign, kind in _SIGNS:
        if sign in start[:16] if sign[:1] == b"f" else start.startswith(sign):
            return kind
    if start[257:262] == b"ustar":
        return "a tar archive"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page, as a site sends it instead of a file that needs a login or is gone"
    if text.startswith((b"<svg", b"<?xml")) and b"<svg" in text:
        return "an SVG drawing"
    if b".git/annex/" in start or text.startswith(b"/annex/objects/"):
        return "a git-annex pointer, not the file itself (fetch it with 'git annex get')"
    decoded = _decoded(start)
    if decoded is None or any(not (letter.isprintable() or letter.isspace()) for letter in decoded):
        return UNKNOWN_KIND
    words = " ".join(decoded.split())
    return f"a text that begins with {words[:40]!r}"


def _decoded(start: bytes) -> str | None:
    """Return the beginning of a text in UTF-8, which may end within a letter; none if it is no text."""
    for n_cut in range(4):
        with suppress(UnicodeDecodeError):
            return start[: len(start) - n_cut].decode("utf-8")
    return None


# First bytes and the kind of file; those with a leading f stand at the fifth byte of a container.
UNKNOWN_KIND = "a file of no known kind"
_SIGNS = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself (fetch it with 'git lfs pull')"),
    (b"\x89PNG", "a damaged PNG image"),
    (b"\xff\xd8\xff", "a damaged JPEG image"),
    (b"GIF8", "a damaged GIF image"),
    (b"II*\0", "a damaged or unusual TIFF image"),
    (b"MM\0*", "a damaged or unusual TIFF image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image, which is not read"),
    (b"\xff\x0a", "a JPEG XL image, which is not read"),
    *((b"ftyp" + brand, "a HEIC image, which needs pillow-heif (pip install pillow-heif)")
      for brand in (b"heic", b"heix", b"heim", b"hevc", b"mif1", b"msf1")),
    (b"ftypavif", "an AVIF image, which this Pillow cannot read"),
    (b"ftyp", "a video (MP4 or QuickTime)"),
    (b"RIFF", "a RIFF file (a sound, an AVI video or a damaged WebP image)"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"\x89HDF", "HDF5 data"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"PAR1", "a Parquet table"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript drawing"),
    (b"PK\x03\x04", "a zip archive (or a file of PyTorch, NumPy or an office program)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive"),
    (b"Rar!", "a rar archive"),
    (b"\x7fELF", "a program"),
    *((b"\x80" + bytes([protocol]), "a Python pickle") for protocol in range(2, 6)),
)  # fmt: skip


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
