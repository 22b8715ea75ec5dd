"""A real SLURM, started once for all tests that are marked so, and stopped whatever happens."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm_cluster import Clone, Cluster
from tests.workflow.conftest import workflow  # noqa: F401  # a folder for local calls


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster. Its folder has a short name, since sockets are in it."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    started = Cluster(folder)
    try:
        yield Cluster.start(folder)
    finally:
        started.stop()
        shutil.rmtree(folder)


@pytest.fixture
def clone(cluster: Cluster, tmp_path: Path, digits: Path) -> Iterator[Callable[..., Clone]]:
    """Makes the clone of this test, with changes of the site file; its jobs are cancelled at the end."""
    made: list[Clone] = []

    def make(**site: str) -> Clone:
        made.append(Clone.make(tmp_path / f"clone-{len(made)}", digits, cluster, **site))
        return made[-1]

    yield make
    cluster.cancel_all()
