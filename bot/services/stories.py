"""Stories: clips that go on from one another, and the film that is made of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from bot.domain.errors import NotAVideo, ProviderBusy, Refusal
from bot.domain.language import said, tr
from bot.domain.task import Task, TaskState
from bot.media import clips, fit
from bot.media.join import Film, join
from bot.providers.downloads import Downloads
from bot.services.kept import Kept
from bot.services.remakes import LARGEST
from storage.stories import StoryStore

#: Clips of a film.
MOST = 10
_SECONDS = 120.0


class Stories:
    def __init__(self, store: StoryStore, downloads: Downloads, kept: Kept) -> None:
        self._store = store
        self._downloads = downloads
        self._kept = kept
        self._busy: set[int] = set()
        # One film at a time: its clips need room on the disk, and the checks of paid clips must not wait for two.
        self._turn = asyncio.Lock()

    async def parts(self, task: Task) -> list[Task]:
        """The clips of the film that ends with this one; `Refusal` where it cannot be made of them."""
        parts = await self._store.until(task, most=MOST + 1)
        if len(parts) == 1:
            raise Refusal(
                tr("This clip goes on from no other, so there is nothing to join. **Continue** adds a clip.")
            )
        if len(parts) > MOST:
            raise Refusal(
                tr(
                    "This story has more than {most} clips, and {most} can be joined. Press **Stitch** under one of "
                    "its earlier clips.",
                    most=MOST,
                )
            )
        for number, part in enumerate(parts, 1):
            together = part.message_channel_id == task.message_channel_id
            if part.state is not TaskState.DELIVERED or part.removed_by is not None or not together:
                raise gone(number, part)
        return parts

    @contextmanager
    def once(self, member_id: int) -> Iterator[None]:
        """While it is entered, the member's further films are refused."""
        if member_id in self._busy:
            raise Refusal(tr("A film of yours is being made. Press **Stitch** again once it is there."))
        self._busy.add(member_id)
        try:
            yield
        finally:
            self._busy.discard(member_id)

    @asynccontextmanager
    async def film(self, urls: Sequence[str], *, limit: int) -> AsyncIterator[tuple[Path, Film]]:
        """The film of the clips at these addresses, made smaller where it has over so many bytes; gone at the end.

        `Film` tells of it as it was before. `Refusal` where there is none.
        """
        async with self._turn, AsyncExitStack() as stack:
            files = [await stack.enter_async_context(self._kept.passing()) for _ in urls]
            whole, smaller = [await stack.enter_async_context(self._kept.passing()) for _ in range(2)]
            try:
                for url, file in zip(urls, files, strict=True):
                    await self._downloads.fetch(url, file, limit=LARGEST, seconds=_SECONDS)
                film = await join(files, whole)
                if film.bytes > limit:
                    await fit.fit(whole, await clips.probe(whole), smaller, limit=limit)
            except (ProviderBusy, NotAVideo) as error:
                raise Refusal(
                    tr(
                        "The film could not be made. {problem} Press **Stitch** again in a minute.",
                        problem=said(str(error)),
                    )
                ) from error
            except fit.CannotFit as error:
                raise Refusal(
                    tr(
                        "The film has {found} MiB, and Discord takes at most {most} MiB here. {problem} Press "
                        "**Stitch** under an earlier clip for a shorter one.",
                        found=f"{film.bytes / 2**20:.1f}",
                        most=f"{limit / 2**20:.1f}",
                        problem=said(str(error)),
                    )
                ) from error
            yield whole if film.bytes <= limit else smaller, film


def gone(number: int, part: Task) -> Refusal:
    return Refusal(
        tr(
            "Clip {number} of this story, `{task}`, has no file in this channel any more, so no film can be made of "
            "it.",
            number=number,
            task=part.id,
        )
    )
