"""What holds for every test."""

import threading
from collections.abc import Iterator

import pytest
from discord.gateway import KeepAliveHandler


@pytest.fixture(autouse=True)
def no_heart_beats_on() -> Iterator[None]:
    """discord.py forgets the heartbeat of a connection that ends before it is ready; it fails in a later test."""
    yield
    for thread in threading.enumerate():
        if isinstance(thread, KeepAliveHandler):
            thread.stop()
