"""A member's own data: what there is, all of it as files, and its end."""

import asyncio
import contextlib
import io
import json
import logging
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.domain.errors import Refusal, Unreadable
from bot.domain.language import tr
from bot.domain.ports import Clock
from bot.domain.privacy import Holdings, Keeping
from bot.services.retention import Erased, Retention
from bot.vault import PLAIN, Vault
from storage.privacy import PrivacyStore

log = logging.getLogger(__name__)

#: Bytes: below what Discord takes as a file everywhere, ten MiB.
PART_BYTES = 8_000_000
#: One thing in a part, with room for what a ZIP file says of it even where nothing can be compressed.
_ITEM_BYTES = PART_BYTES - 100_000
#: What stands around the rows of a document, names of tables included.
_FRAME_BYTES = 1000
_UNITS = "times are milliseconds since 1970 (UTC), money is millionths of a US dollar, yes and no are 1 and 0"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of an export."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Overview:
    """What is stored of a member, with the files there are, and for how long."""

    holdings: Holdings
    pictures: int
    keeping: Keeping


class Privacy:
    """Everything is about one member over all servers: whoever asks is the member."""

    def __init__(
        self,
        store: PrivacyStore,
        retention: Retention,
        keeping: Keeping,
        *,
        folder: Path,
        clock: Clock,
        vault: Vault = PLAIN,
    ) -> None:
        self._store = store
        self._retention = retention
        self._keeping = keeping
        self._clips, self._ends = folder / "clips", folder / "ends"
        self._clock = clock
        self._vault = vault
        self._exporting: set[int] = set()
        # One after the other: an export takes some tens of megabytes.
        self._turn = asyncio.Lock()

    async def overview(self, member_id: int) -> Overview:
        pictures = await self._pictures(member_id)
        return Overview(await self._store.holdings(member_id), len(pictures), self._keeping)

    async def erase(self, member_id: int) -> Erased:
        return await self._retention.erase(member_id)

    async def export(self, member_id: int, *, left_out: list[str]) -> AsyncGenerator[Part]:
        """All of it as files of at most `PART_BYTES`, made as they are taken.

        One JSON file where that is all, else ZIP files with JSON files, pictures and clips in them. The names of
        files that are too large for a part are added to `left_out`.
        """
        if member_id in self._exporting:
            raise Refusal(tr("Your export is being made already. Wait until it is here, then ask again."))
        self._exporting.add(member_id)
        try:
            async with self._turn, contextlib.aclosing(self._parts(member_id, left_out)) as parts:
                async for part in parts:
                    yield part
        finally:
            self._exporting.discard(member_id)

    async def _parts(self, member_id: int, left_out: list[str]) -> AsyncGenerator[Part]:
        documents = self._documents(member_id)
        first = await anext(documents)
        second = await anext(documents, None)
        files = await self._files(member_id)
        if second is None and not files:
            yield Part("conch-data.json", first)
            return
        taken = [first, *([second] if second else [])]
        with contextlib.closing(_Packer()) as packer:
            async for name, data in self._items(taken, documents, files, left_out):
                if full := await asyncio.to_thread(packer.add, name, data):
                    yield full
            if last := await asyncio.to_thread(packer.finish):
                yield last

    async def _items(
        self,
        taken: list[bytes],
        documents: AsyncIterator[bytes],
        files: Iterable[tuple[str, Path]],
        left_out: list[str],
    ) -> AsyncIterator[tuple[str, bytes]]:
        """What stands in the parts, by name: the documents already taken, the others, then the files."""
        for number, document in enumerate(taken, 1):
            yield f"data-{number}.json", document
        number = len(taken)
        async for document in documents:
            number += 1
            yield f"data-{number}.json", document
        for name, path in files:
            try:
                data = await asyncio.to_thread(self._read, path)
            except FileNotFoundError:
                continue  # erased or handed over since it was found
            except Unreadable as error:
                log.error("%s is not in an export: %s", path, error)  # noqa: TRY400 - not a bug
                data = None
            if data is None:
                left_out.append(name)
            else:
                yield name, data

    async def _files(self, member_id: int) -> list[tuple[str, Path]]:
        """Pictures and waiting clips that are there, with their names in an export."""
        pictures = await self._pictures(member_id)
        clips = [self._clips / f"{task_id}.mp4" for task_id in await self._store.uncollected(member_id)]
        return [
            *((f"pictures/{path.name}", path) for path in pictures),
            *((f"clips/{path.name}", path) for path in await asyncio.to_thread(_existing, clips)),
        ]

    async def _pictures(self, member_id: int) -> list[Path]:
        """Those that clips were made of, and the last frames of clips, as far as they are there."""
        frames = [Path(path) for path in await self._store.frames(member_id)]
        ends = [self._ends / f"{task_id}.png" for task_id in await self._store.delivered(member_id)]
        return await asyncio.to_thread(_existing, [*frames, *ends])

    def _read(self, path: Path) -> bytes | None:
        """None where it is too large for a part. Takes long: in a thread."""
        if path.stat().st_size > 2 * _ITEM_BYTES:  # what is sealed is a third larger
            return None
        data = self._vault.read(path)
        return data if len(data) <= _ITEM_BYTES else None

    async def _documents(self, member_id: int) -> AsyncIterator[bytes]:
        """Every row as JSON, in documents that each can be read by itself; at least one."""
        rows = _Rows(member_id, self._clock())
        async for table, row in self._store.everything(member_id):
            text = _written(row)
            if not rows.fits(text):
                yield await asyncio.to_thread(rows.take)
            rows.add(table, text)
        yield await asyncio.to_thread(rows.take)


class _Rows:
    """Rows on their way into a document."""

    def __init__(self, member_id: int, at: int) -> None:
        made = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
        self._about = {"member_id": str(member_id), "made_at": made, "units": _UNITS}
        self._tables: dict[str, list[str]] = {}
        self._bytes = 0

    def fits(self, text: str) -> bool:
        return not self._tables or self._bytes + _size(text) <= _ITEM_BYTES - _FRAME_BYTES

    def add(self, table: str, text: str) -> None:
        self._tables.setdefault(table, []).append(text)
        self._bytes += _size(text)

    def take(self) -> bytes:
        """The document; what is added from now on belongs to the next. Takes long: in a thread."""
        tables = [f'"about": {json.dumps(self._about)}']
        for table, rows in self._tables.items():
            listed = ",\n  ".join(rows)
            tables.append(f'"{table}": [\n  {listed}\n]')
        self._tables, self._bytes = {}, 0
        inside = ",\n".join(tables)
        return f"{{\n{inside}\n}}\n".encode()


def _size(text: str) -> int:
    """Bytes of a row with what stands between it and the next."""
    return len(text.encode()) + 4


def _written(row: dict[str, Any]) -> str:
    return json.dumps({name: _told(name, value) for name, value in row.items()}, ensure_ascii=False)


def _told(name: str, value: Any) -> Any:
    """Ids as strings, as most programs round such large numbers; of a path, the name that the file has here."""
    if name == "id" or name.endswith("_id") or name == "decided_by":
        return None if value is None else str(value)
    if name.endswith("_path") and value is not None:
        return Path(value).name
    return value


class _Packer:
    """Fills ZIP files, each of at most `PART_BYTES`. What it does takes long: in a thread."""

    def __init__(self) -> None:
        self._made = 0
        self._buffer = io.BytesIO()
        self._zip: zipfile.ZipFile | None = None

    def add(self, name: str, data: bytes) -> Part | None:
        """The part that was full before this, if it was."""
        full = self.finish() if self._buffer.tell() + len(data) > _ITEM_BYTES else None
        if self._zip is None:
            self._zip = zipfile.ZipFile(self._buffer, "w", zipfile.ZIP_DEFLATED)
        self._zip.writestr(name, data)
        return full

    def finish(self) -> Part | None:
        """What has been added since the last part; None for nothing."""
        if self._zip is None:
            return None
        self._zip.close()
        self._made += 1
        part = Part(f"conch-data-{self._made}.zip", self._buffer.getvalue())
        self._buffer, self._zip = io.BytesIO(), None
        return part

    def close(self) -> None:
        """Leave what is not finished, of an export that nobody takes any more."""
        if self._zip is not None:
            self._zip.close()


def _existing(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]
