"""Downloading, from a server on this machine: whole files only, once, and one sentence where it does not work."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from dynvision.config.data import DataConfig
from dynvision.data import downloads
from dynvision.data.downloads import DATA_VARIABLE, Download, fetch
from dynvision.data.sources import arrays, open_source
from dynvision.data.sources import files as file_sources
from dynvision.errors import InputError
from tests.data.true_formats import write_archive, write_cifar, write_idx


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and a part of those whose path has ``half`` in it."""

    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if "half" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 300)
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which its files are."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr(Handler, "asked", [])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def moved(download: Download, folder: Path, url: str) -> Download:
    """A download from the server here, with the checksum of the file that is there."""
    content = (folder / download.file).read_bytes()
    return replace(download, url=url + download.file, sha256=hashlib.sha256(content).hexdigest())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_mnist_is_downloaded_once(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, url = served
    parts = write_idx(folder)
    files = tuple(moved(download, folder, url) for download in arrays.DOWNLOADS["mnist"])
    monkeypatch.setitem(arrays.DOWNLOADS, "mnist", files)
    for _ in range(2):
        source = open_source(DataConfig(name="mnist"))
        assert source.labels[:60].tolist() == parts["train"][1].tolist()
    assert Handler.asked == [f"/{download.file}" for download in files]


def test_cifar_is_downloaded(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, url = served
    write_cifar(folder, "cifar10")
    version = arrays.VERSIONS["cifar10"]
    here = replace(version, download=moved(version.download, folder, url))
    monkeypatch.setitem(arrays.VERSIONS, "cifar10", here)
    assert len(open_source(DataConfig(name="cifar10"))) == 70


@pytest.mark.parametrize("name", ["imagenette", "tinyimagenet"])
def test_class_folders_are_downloaded_and_unpacked(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder, url = served
    write_archive(folder, name)
    download, inner = file_sources.ARCHIVES[name]
    monkeypatch.setitem(file_sources.ARCHIVES, name, (moved(download, folder, url), inner))
    assert (
        len(open_source(DataConfig(name=name, resolution=8))) == {"imagenette": 80, "tinyimagenet": 32}[name]
    )
    assert names(tmp_path / "data" / name) == sorted([".lock", inner, download.file])


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("absent", "File not found"),
        ("other", "what came is not the file: its SHA-256 is"),
        ("half", "IncompleteRead|what came is not the file"),
    ],
)
def test_what_is_not_the_whole_file_is_not_kept(
    served: tuple[Path, str], tmp_path: Path, file: str, reason: str
) -> None:
    folder, url = served
    (folder / "other").write_bytes(b"something else")
    wanted = Download(file, url + file, hashlib.sha256(b"the file").hexdigest())
    with pytest.raises(
        InputError, match=rf"cannot be downloaded \(.*({reason}).*\); put {file} \(from {url}\)"
    ):
        fetch((wanted,), tmp_path / "data" / "x")
    assert names(tmp_path / "data" / "x") == [".lock"]


@pytest.mark.parametrize("says_its_size", [True, False])
def test_a_file_without_end_is_not_written(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says_its_size: bool
) -> None:
    folder, url = served
    n_sent = []

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        if says_its_size:
            handler.send_header("Content-Length", str(2**40))
        handler.end_headers()
        with suppress(ConnectionError):
            while len(n_sent) < 64:
                handler.wfile.write(bytes(2**16))
                n_sent.append(1)

    monkeypatch.setattr(Handler, "do_GET", answer)
    monkeypatch.setattr(downloads, "LARGEST_BYTES", 2**18)
    monkeypatch.setattr(downloads, "CHUNK_BYTES", 2**16)
    download = Download("a.bin", url + "a.bin", "0" * 64)
    with pytest.raises(
        InputError, match=r"cannot be downloaded \(what came is not the file: it has more than 262,144"
    ):
        fetch((download,), tmp_path / "data")
    assert names(tmp_path / "data") == [".lock"]


def test_without_a_network_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    closed = tuple(replace(d, url=f"http://127.0.0.1:9/{d.file}") for d in arrays.DOWNLOADS["mnist"])
    monkeypatch.setitem(arrays.DOWNLOADS, "mnist", closed)
    with pytest.raises(InputError) as caught:
        open_source(DataConfig(name="mnist"))
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(
        "; put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, "
        f"t10k-labels-idx1-ubyte.gz (from http://127.0.0.1:9/) into {tmp_path / 'mnist'} and run again"
    )


def test_what_is_there_is_verified_at_each_load(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    (folder / "file.bin").write_bytes(b"the file")
    wanted = (Download("file.bin", url + "file.bin", hashlib.sha256(b"the file").hexdigest()),)
    (path,) = fetch(wanted, tmp_path / "data")
    assert fetch(wanted, tmp_path / "data") == (path,)
    path.write_bytes(b"the File")
    with pytest.raises(
        InputError, match=r"file.bin is not the file of http.*: its SHA-256 is .*; delete it and run again"
    ):
        fetch(wanted, tmp_path / "data")
    path.unlink()
    assert fetch(wanted, tmp_path / "data") == (path,) and path.read_bytes() == b"the file"


def test_every_download_has_a_checksum_of_256_bits() -> None:
    wanted = [d for files in arrays.DOWNLOADS.values() for d in files]
    wanted += [version.download for version in arrays.VERSIONS.values()]
    wanted += [download for download, _ in file_sources.ARCHIVES.values()]
    assert len(wanted) == 12 == len({download.sha256 for download in wanted})
    assert all(re.fullmatch("[0-9a-f]{64}", download.sha256) for download in wanted)


def test_leftover_of_a_killed_download_is_removed(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    (folder / "file.bin").write_bytes(b"the file")
    leftover = tmp_path / "data" / "x" / ".file.0123abcd.bin"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"the f")
    wanted = Download("file.bin", url + "file.bin", hashlib.sha256(b"the file").hexdigest())
    assert fetch((wanted,), leftover.parent)[0].read_bytes() == b"the file"
    assert names(leftover.parent) == [".lock", "file.bin"]


def test_several_processes_download_once(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    (folder / "file.bin").write_bytes(b"the file")
    wanted = Download("file.bin", url + "file.bin", hashlib.sha256(b"the file").hexdigest())
    threads = [threading.Thread(target=fetch, args=((wanted,), tmp_path / "data" / "x")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Handler.asked == ["/file.bin"]


def test_data_lie_in_the_project_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    assert downloads.dataset_folder("mnist") == Path("data/mnist")
    monkeypatch.setenv(DATA_VARIABLE, "/mounted")
    assert downloads.dataset_folder("imagenet") == Path("/mounted/imagenet")
