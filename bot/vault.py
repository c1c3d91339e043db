"""What members said and showed, as it lies on disk: sealed with `DATA_KEY`, or plain where there is none."""

import asyncio
import base64
import binascii
import io
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from bot.domain.errors import SetupError, Unreadable
from bot.media.files import PART, arriving, discard, on_disk, write_whole

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

#: Begins whatever is sealed. No prompt, JSON, JPEG or PNG does: prompts lose their control characters.
MARK = b"\x01"
#: Stands in the place of a text that no key opens; nobody can write it.
LOST = MARK.decode()
_KEY_BYTES = 32
_SAMPLE = b"conch"
#: Stands in the place of a sample for what was written before there was a key.
_PLAIN = "plain"


class Vault:
    """Seals with the first key and opens with each: Fernet, which is AES-128-CBC with an HMAC-SHA256.

    What is plain is opened as it is, so what was written before there was a key can still be read. Takes long with
    pictures: in a thread.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """`ValueError` for what is no key."""
        for key in keys:
            _check(key)
        self._keys = tuple(keys)

    @property
    def keyed(self) -> bool:
        return bool(self._keys)

    @cached_property
    def _lock(self) -> "MultiFernet":
        # Thirty milliseconds that a start without a key does not spend.
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

        return MultiFernet([Fernet(key) for key in self._keys])

    # ------------------------------------------------------------------- values

    def seal(self, plain: bytes) -> bytes:
        """Nothing stays nothing."""
        return MARK + self._lock.encrypt(plain) if self.keyed and plain else plain

    def open(self, kept: bytes) -> bytes:
        """`Unreadable` for what no key opens."""
        if not kept.startswith(MARK):
            return kept
        if not self.keyed:
            raise _unreadable()
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - as above

        try:
            return self._lock.decrypt(kept[len(MARK) :])
        except InvalidToken as error:
            raise _unreadable() from error

    def seal_text(self, plain: str) -> str:
        return self.seal(plain.encode()).decode() if self.keyed else plain

    def open_text(self, kept: str) -> str:
        return self.open(kept.encode()).decode() if kept.startswith(LOST) else kept

    # --------------------------------------------------------------------- keys

    def sample(self) -> str:
        """Tells later whether a vault has the key that seals in this one."""
        return self.seal_text(_SAMPLE.decode())

    def opens(self, sample: str) -> bool:
        try:
            return self.open_text(sample) == _SAMPLE.decode()
        except Unreadable:
            return False

    def must_open_all(self, samples: Sequence[str], path: Path) -> None:
        """`SetupError` where a key is missing that something there is sealed with."""
        if not all(sample == _PLAIN or self.opens(sample) for sample in samples):
            found = "is another one" if self.keyed else "is not set"
            raise SetupError(
                f"DATA_KEY {found}, but {path} was sealed with a key that is not here. Set that key, or with others "
                "of yours behind the first: DATA_KEY=new,old. Nothing was changed."
            )

    def with_newest(self, samples: Sequence[str]) -> list[str]:
        """The same with one of the first key before them, if it is not the first already."""
        if not self.keyed or (samples and Vault(self._keys[:1]).opens(samples[0])):
            return list(samples)
        return [self.sample(), *(samples or [_PLAIN])]

    # -------------------------------------------------------------------- files

    def read(self, file: Path) -> bytes:
        return self.open(file.read_bytes())

    def write(self, file: Path, plain: bytes) -> None:
        """Whole or not at all, and on disk when this returns; `StorageError` where that fails."""
        write_whole(file, self.seal(plain))

    def source(self, file: Path) -> Path | io.BytesIO:
        """A picture as discord.py takes it: its own name where it is plain, so that it need not be in memory.

        `Unreadable` as `open`.
        """
        return io.BytesIO(self.read(file)) if _is_sealed(file) else file

    def must_read(self, file: Path) -> None:
        """`Unreadable` where no key opens it; an `OSError` where it is not there."""
        if _is_sealed(file):
            self.read(file)

    def seal_file(self, file: Path) -> None:
        """Seal what another program has just written, in its place."""
        if self.keyed:
            self.write(file, self.read(file))

    @asynccontextmanager
    async def arriving(self, target: Path) -> AsyncIterator[Path]:
        """A name for a program to write to; sealed it becomes `target` if the block ends well and there is a file."""
        with arriving(target, surely=False) as part:
            yield part
            if await asyncio.to_thread(part.exists):
                await asyncio.to_thread(self.seal_file, part)

    @asynccontextmanager
    async def opened(self, file: Path) -> AsyncIterator[Path]:
        """A file that a program can read while the block lasts, and miss where there is none.

        `Unreadable` as `open`.
        """
        try:
            source = await asyncio.to_thread(self.source, file)
        except FileNotFoundError:
            source = file
        if isinstance(source, Path):
            yield source
            return
        plain = file.with_name(f".{file.name}.{uuid4().hex[:12]}{PART}")
        try:
            with on_disk(plain):
                await asyncio.to_thread(plain.write_bytes, source.getbuffer())
            yield plain
        finally:
            await asyncio.to_thread(discard, plain)


#: Keeps everything as it is.
PLAIN = Vault()


def new_key() -> str:
    """32 random bytes, as `DATA_KEY` takes them."""
    return base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode()


def _is_sealed(file: Path) -> bool:
    with file.open("rb") as found:
        return found.read(len(MARK)) == MARK


def _check(key: str) -> None:
    if not key:
        raise ValueError("found nothing where a key should be; is there a comma too many")
    try:
        found = len(base64.b64decode(key, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("found what is no key; `conch key` makes one") from None
    if found != _KEY_BYTES:
        raise ValueError(f"found a key of {found} bytes, need {_KEY_BYTES}; `conch key` makes one")


def _unreadable() -> Unreadable:
    return Unreadable(
        "What is stored here is sealed with another DATA_KEY, or damaged. Start with the key it was sealed with."
    )
