import shutil

import pytest
from fastapi.testclient import TestClient

from hyperadapters.serving.app import create_app


@pytest.fixture(scope="module")
def client(quick_run, tmp_path_factory):
    """The service of a run that no test changes."""
    folder = shutil.copytree(quick_run, tmp_path_factory.mktemp("served") / "run")
    with TestClient(create_app(folder)) as client:
        yield client


@pytest.fixture
def serve(quick_run, tmp_path):
    """Services with settings of their own, of a copy of the run in `tmp_path / "run"`."""
    shutil.copytree(quick_run, tmp_path / "run")
    clients = []

    def make(**settings):
        client = TestClient(create_app(tmp_path / "run", **settings), raise_server_exceptions=False)
        clients.append(client.__enter__())
        return clients[-1]

    yield make
    for client in clients:
        client.__exit__(None, None, None)
