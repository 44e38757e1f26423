"""What deploy/ holds, against the real program."""

import pytest
from serving import running


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("home"), "--ctx", "1024") as started:
        yield started
