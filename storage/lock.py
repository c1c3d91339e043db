"""One process at a time: a lock file that the end of the process releases, however it comes."""

from pathlib import Path

from filelock import FileLock, Timeout

from bot.domain.errors import AlreadyRunning


def hold(lock_file: Path, *, serves: Path, setting: str) -> FileLock:
    """Take the lock or raise `AlreadyRunning`; `OSError` where it cannot be made."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise AlreadyRunning(
            f"Another Conch is running on {serves}. It serves one process: stop the other one, "
            f"or give this one its own {setting}."
        ) from None
    return lock
