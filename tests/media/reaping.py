"""Asks the kernel about child processes: whether one is left, and to let them run until they have done something."""

import asyncio
import os
from collections.abc import Callable


def children_left() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


async def until(done: Callable[[], object]) -> None:
    """Give way to other processes until one of them has made what is waited for."""
    while not done():
        await asyncio.to_thread(os.sched_yield)
