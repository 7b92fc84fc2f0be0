"""The engine of tests that are about any engine: in this process, and in an actor of Ray's."""

from collections.abc import Iterator

import pytest

from daemon.worker.engines import Engine

#: Of a test, with the start of the cluster if it is the first one.
ON_RAY = pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.timeout(300)])


@pytest.fixture(scope="session", params=["local", ON_RAY])
def remote(request: pytest.FixtureRequest) -> Iterator[Engine | None]:
    """One cluster for all tests of a process, because it takes some ten seconds to start."""
    if request.param == "local":
        yield None
        return
    from tests.worker.engine_kit import open_on_ray

    opened = open_on_ray()
    yield opened
    opened.close()


@pytest.fixture
def engine(remote: Engine | None) -> Iterator[Engine]:
    """Either of them; the one in this process is made anew for each test."""
    if remote is not None:
        yield remote
        return
    from tests.worker.cluster_kit import SETTINGS
    from tests.worker.engine_kit import open_worker

    worker = open_worker(SETTINGS)
    yield worker
    worker.close()
