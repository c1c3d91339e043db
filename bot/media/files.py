"""Files that are there whole or not at all, and folders that take none just now."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from bot.domain.errors import StorageError

log = logging.getLogger(__name__)

#: What unfinished files end with; those a killed process left behind may be removed.
PART = ".part"


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Around what makes or renames a file or a folder: its trouble is the operator's, and may pass."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StorageError(
            f"{path.name} could not be saved: {reason}. Make room in {path.parent} and see that it is writable."
        ) from error


def make_room(folder: Path) -> None:
    """Make the folder where it is not there."""
    with on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)


def discard(path: Path) -> None:
    """Remove what is needed no more. What was done is done although it stays: a sweep removes it later."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s stays for now: %s", path, error.strerror or error)


def remove(path: Path) -> None:
    """Remove what nobody shall have any more; `StorageError` where it stays."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path.name} could not be removed: {error.strerror}. See that {path.parent} is writable."
        ) from error


@contextmanager
def arriving(target: Path, *, surely: bool = True) -> Iterator[Path]:
    """A name beside `target` to write to; it becomes `target` if the block ends well, and is removed if not.

    Not `surely`: it is as well if nothing was written.
    """
    part = target.with_name(f".{target.name}.{uuid4().hex[:12]}{PART}")
    try:
        yield part
        if not surely and not part.exists():
            return
        with on_disk(target):
            part.replace(target)
    finally:
        discard(part)


def write_whole(file: Path, data: bytes) -> None:
    """Whole or not at all, and on disk when this returns; `StorageError` where that fails."""
    with arriving(file) as part, on_disk(file), part.open("wb") as to:
        to.write(data)
        to.flush()
        os.fsync(to.fileno())
