"""Which task is being worked on, for whoever writes about it: the context carries it, threads and calls included."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_task_id: ContextVar[str | None] = ContextVar("task_id", default=None)


@contextmanager
def working_on(task_id: str) -> Iterator[None]:
    token = _task_id.set(task_id)
    try:
        yield
    finally:
        _task_id.reset(token)


def current_task_id() -> str | None:
    return _task_id.get()
