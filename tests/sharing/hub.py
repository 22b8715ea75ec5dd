"""A Hugging Face hub on this machine: as much of its interface as pushing and pulling a repository of a model needs.

Paths and fields are those that `huggingface_hub` asks for (its ``hf_api``, ``_commit_api``, ``lfs`` and ``file_download``).
Large files take the way of git-lfs, others stand in the commit.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

TOKEN = "hf_made_up"


@dataclass
class Hub:
    """What the hub holds.

    Attributes:
        address: where it listens.
        repositories: files by repository and path.
        asked: what it was asked, in order.
    """

    address: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def commit(self, name: str) -> str:
        files = sorted(
            (path, hashlib.sha256(content).hexdigest()) for path, content in self.repositories[name].items()
        )
        return hashlib.sha1(repr(files).encode()).hexdigest()


@contextlib.contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a hub on a free port of this machine."""
    hub = Hub()

    class Handler(_Handler):
        held = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    held: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, content: Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _serve(self) -> None:
        path, hub, body = unquote(self.path.partition("?")[0]), self.held, self._body()
        hub.asked.append(f"{self.command} {path}")
        writes = self.command in ("POST", "PUT") and "/tree/" not in path
        if writes and "/large/" not in path and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer({"error": "Invalid username or password."}, 401)
        if path == "/api/repos/create":
            given = json.loads(body)
            name = f"{given['organization']}/{given['name']}" if given.get("organization") else given["name"]
            hub.repositories.setdefault(name, {})
            return self._answer({"url": f"{hub.address}/{name}", "name": name})
        if path == "/api/validate-yaml":  # of the head of a card
            return self._answer({"errors": [], "warnings": []})
        if path.startswith("/large/"):
            hub.large[path.removeprefix("/large/")] = body
            return self._answer({})
        found = re.fullmatch(r"(?:/api/models)?/([^/]+/[^/]+?)(?:\.git)?(?:/(.*))?", path)
        assert found is not None, path
        name, rest = found[1], found[2] or ""
        if name not in hub.repositories:
            return self._answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        return self._of_repository(name, rest, body)

    def _of_repository(self, name: str, rest: str, body: bytes) -> None:
        hub, files = self.held, self.held.repositories[name]
        if rest.startswith("preupload/"):
            given = json.loads(body)["files"]
            large = (".safetensors", ".pt2", ".onnx")
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(large) else "regular",
                    "shouldIgnore": False,
                }
                for file in given
            ]
            return self._answer({"files": modes})
        if rest == "info/lfs/objects/batch":
            objects = [
                {**each, "actions": {"upload": {"href": f"{hub.address}/large/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            return self._answer({"transfer": "basic", "objects": objects})
        if rest.startswith("commit/"):
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    files[value["path"]] = hub.large[value["oid"]]
                    assert hashlib.sha256(files[value["path"]]).hexdigest() == value["oid"]
            oid = hub.commit(name)
            return self._answer({"commitUrl": f"{hub.address}/{name}/commit/{oid}", "commitOid": oid})
        commit = hub.commit(name)
        if rest in ("", "revision/main", f"revision/{commit}"):
            siblings = [{"rfilename": path} for path in files]
            return self._answer(
                {"id": name, "sha": commit, "siblings": siblings, "private": False, "tags": []}
            )
        if rest.startswith("revision/"):
            return self._answer({"error": "Invalid rev id"}, 404, X_Error_Code="RevisionNotFound")
        if rest.startswith("tree/"):
            tree = [
                {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for path, content in files.items()
            ]
            return self._answer(tree)
        found = re.fullmatch(r"resolve/[^/]+/(.+)", rest)
        if found is None or found[1] not in files:
            return self._answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
        content = files[found[1]]
        tag = f'"{hashlib.sha1(content).hexdigest()}"'
        return self._answer(content, ETag=tag, X_Repo_Commit=commit)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # names that http.server calls
