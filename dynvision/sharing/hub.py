"""Push a folder of :mod:`dynvision.sharing.folder` to the Hugging Face hub; `dynvision.inference.hub` pulls it."""

from __future__ import annotations

from pathlib import Path

from dynvision.errors import InputError
from dynvision.inference.hub import hub_library, repository
from dynvision.sharing.folder import is_finished


def push(folder: Path, to: str, private: bool = False) -> str:
    """Push a folder, making the repository where there is none.

    The token is that of ``hf auth login`` or of the variable ``HF_TOKEN``.

    Args:
        folder: a finished folder.
        to: ``user/name``.
        private: whether a new repository is seen by its owner alone.

    Returns:
        The address of the commit.

    Raises:
        InputError: the folder is not finished, or the hub refuses.
    """
    if not is_finished(folder):
        raise InputError(f"{folder} is no finished folder of a run; make it with 'dynvision export RUN'")
    library = hub_library()
    name = repository(to)
    try:
        library.create_repo(name, private=private, exist_ok=True)
        commit = library.upload_folder(
            repo_id=name, folder_path=folder, commit_message=f"Add {folder.name}", ignore_patterns=[".*"]
        )
    except (library.errors.HTTPError, OSError) as error:  # of the hub's answer, or of the way there
        raise InputError(f"{to} was not pushed: {_reason(error)}") from None
    return str(commit.commit_url)


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if getattr(response, "status_code", None) in (401, 403):
        return "the hub does not accept this user's token; log in with 'hf auth login', or set HF_TOKEN"
    return " ".join(str(error).split())[:200]
