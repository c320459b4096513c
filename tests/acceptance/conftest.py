"""`launch` starts the whole product against a fresh database and a fresh sandbox."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.support.system import System, running_system

Launch = Callable[..., AbstractAsyncContextManager[System]]


@pytest.fixture
def launch(database_url: str, tmp_path: Path) -> Launch:
    """The product on the embedded log; arguments as of `running_system`."""

    def start(**arguments: Any) -> AbstractAsyncContextManager[System]:
        return running_system(database_url, tmp_path, **arguments)

    return start


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
def launch_on_each_log(request: pytest.FixtureRequest, launch: Launch) -> Launch:
    """As `launch`, once on the embedded log and once on the real broker."""
    if request.param == "postgres":
        return launch
    broker = request.getfixturevalue("kafka_broker")

    def start(**arguments: Any) -> AbstractAsyncContextManager[System]:
        return launch(kafka=broker.bootstrap_servers, **arguments)

    return start
