"""Trained runs from the Hugging Face hub: ``dynvision.load("hub:user/name")``.

Only the configuration and the weights (safetensors) are pulled, and nothing of the repository is run. A run whose
configuration names code of its own, a plugin or a model as ``module:Class``, is refused: copy its folder, look at the code,
and load the folder.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dynvision.config.identity import PLUGINS
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError, check_extra, message_of
from dynvision.trained import CONFIG, WEIGHTS

KIND = "hub"
PULLED = (CONFIG, WEIGHTS, "README.md", "test.json")


def hub_library() -> Any:
    """Return `huggingface_hub`.

    Raises:
        InputError: it is not installed.
    """
    check_extra("share", "the Hugging Face hub", "huggingface_hub")
    import huggingface_hub

    return huggingface_hub


def repository(name: str) -> str:
    """Return the name of a repository.

    Raises:
        InputError: it is not ``user/name``, or no name that the hub allows.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise InputError(f"{name!r} is no repository of the hub; write user/name")
    hub_library()
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except ValueError as error:
        raise InputError(f"{name!r} is no repository of the hub: {error}") from None
    return name


def pull(name: str) -> Path:
    """Pull a run, and return its folder in the cache of the hub; what is there already is not pulled again.

    Args:
        name: ``user/name``, or ``user/name@revision`` for a branch, a tag or a commit.

    Raises:
        InputError: there is no such repository, it holds no run, it names code of its own, or the hub does not answer.
    """
    library = hub_library()
    of, _, revision = name.partition("@")
    try:
        folder = Path(
            library.snapshot_download(
                repository(of),
                revision=revision or None,
                allow_patterns=list(PULLED),
                library_name="dynvision",
            )
        )
    except library.errors.RevisionNotFoundError:
        raise InputError(f"hub:{of} has no revision {revision!r}") from None
    except library.errors.RepositoryNotFoundError:
        raise InputError(
            f"there is no hub:{of}, or it is private; check the name, or log in with 'hf auth login'"
        ) from None
    except (library.errors.HfHubHTTPError, library.errors.LocalEntryNotFoundError, OSError) as error:
        raise InputError(f"hub:{of} was not pulled: {message_of(error)[:200]}") from None
    for needed in PULLED[:2]:
        if not (folder / needed).is_file():
            raise InputError(f"hub:{of} holds no run of DynVision: there is no {needed}")
    _check_no_code(of, folder / CONFIG)
    return folder


def _check_no_code(of: str, path: Path) -> None:
    frozen = read_yaml(path)
    model = str((frozen.get("model") or {}).get("name", ""))
    named = [*(frozen.get(PLUGINS) or ()), *([model] if ":" in model else [])]
    if named:
        raise InputError(
            f"hub:{of} needs code of its own ({', '.join(map(str, named))}), which is not run; copy the repository, look "
            "at the code, and load the folder"
        )
