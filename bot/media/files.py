"""Files that are there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

#: What unfinished files end with; those a killed process left behind may be removed.
PART = ".part"


@contextmanager
def arriving(target: Path, *, surely: bool = True) -> Iterator[Path]:
    """A name beside `target` to write to; it becomes `target` if the block ends well, and is removed if not.

    Not `surely`: it is as well if nothing was written.
    """
    part = target.with_name(f".{target.name}.{uuid4().hex[:12]}{PART}")
    try:
        yield part
        if surely or part.exists():
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)
