"""What is seen on a compute node, written into a shared folder for the one who asked."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from dynvision.files import write_text

QUESTION, ANSWER = "question", "answer.json"


def look_around(folder: Path) -> None:
    """Answer the question in a folder."""
    mark = folder / "mark"
    mark.touch()
    found: dict[str, Any] = {
        "host": socket.gethostname(),
        "read": _read(folder / QUESTION),
        "its_time": time.time(),
        "written_at": mark.stat().st_mtime,
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "python": sys.version.split()[0],
        "error": "",
        **_libraries(),
    }
    write_text(folder / ANSWER, json.dumps(found))


def _libraries() -> dict[str, Any]:
    import dynvision

    try:
        import pytorch_lightning  # noqa: F401
        import torch
    except (ImportError, OSError) as error:  # a library that is absent, or of another system
        return {"error": str(error).splitlines()[0], "gpus": []}
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return {"torch": torch.__version__, "dynvision": dynvision.__version__, "gpus": gpus}


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
