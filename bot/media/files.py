"""Files that are there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

#: What unfinished files end with; those a killed process left behind may be removed.
PART = ".part"


@contextmanager
def arriving(target: Path) -> Iterator[Path]:
    """A name beside `target` to write to; it becomes `target` if the block ends well, and is removed if not."""
    part = target.with_name(f".{target.name}.{uuid4().hex[:12]}{PART}")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
