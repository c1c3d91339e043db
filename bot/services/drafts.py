"""Orders that wait for their member's next word: kept for a while over restarts, and used once."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bot.domain.errors import Refusal, StorageError
from bot.domain.language import tr
from bot.domain.ports import Clock
from bot.media.files import discard
from bot.vault import PLAIN, Vault
from storage.drafts import Draft, DraftStore

log = logging.getLogger(__name__)

#: Kinds: pictures of a message that somebody is about to animate; an order whose pictures have the wrong shape.
MENU: Final = "menu"
SHAPE: Final = "shape"
#: Milliseconds. Discord lets a modal stand open for ever, but its addresses of pictures end.
_LIVES = {MENU: 3_600_000, SHAPE: 900_000}
#: Of pictures, from the command on: they are made before the offer of them is.
_FILES_LIVE = 1_800_000
_SWEEP_SECONDS = 60
#: Where Discord's ids begin to count milliseconds, and how far up.
_DISCORD_EPOCH, _TIME_BITS = 1_420_070_400_000, 22


class Drafts:
    """`folder` takes the pictures of drafts; a file's name begins with the draft's id."""

    def __init__(self, store: DraftStore, folder: Path, clock: Clock, vault: Vault = PLAIN) -> None:
        self._store = store
        self._folder = folder
        self._clock = clock
        self._vault = vault

    async def keep(self, draft_id: int, kind: str, *, server_id: int, member_id: int, content: str) -> None:
        """`draft_id` is the interaction that began it; `content` is JSON."""
        await self._store.keep(Draft(draft_id, kind, server_id, member_id, content, self.until(kind)))

    @asynccontextmanager
    async def used(
        self, draft_id: int, kind: str, *, server_id: int, member_id: int, by: int
    ) -> AsyncIterator[str]:
        """The content, for the interaction `by` alone; `Refusal` where there is none to be had.

        An error in the block gives it back: the member may try once more.
        """
        draft = await self._store.claim(
            draft_id, kind, server_id=server_id, member_id=member_id, by=by, at=self._clock()
        )
        if draft is None:
            raise Refusal(_over(kind))
        if draft.used_by != by:
            raise Refusal(
                tr(
                    "This was answered already, and nothing more was held. `/tasks list` shows its clip; if there is "
                    "none, send the command again."
                )
            )
        try:
            yield draft.content
        except Exception:
            await self._store.free(draft_id, by)
            raise

    def until(self, kind: str) -> int:
        """How long a draft of a kind lives that is kept now."""
        return self._clock() + _LIVES[kind]

    def picture(self, file: Path) -> Path | io.BytesIO:
        """One of a draft, as it can be shown. Takes long: in a thread."""
        return self._vault.source(file)

    async def forget_pictures(self, draft_id: int) -> None:
        await asyncio.to_thread(_remove_of, self._folder, draft_id)

    async def run(self) -> None:
        """Remove what is over, until cancelled."""
        while True:
            try:
                await self.sweep()
            except (StorageError, OSError) as error:
                log.warning("old drafts stay for now: %s", error)
            await asyncio.sleep(_SWEEP_SECONDS)

    async def sweep(self) -> None:
        now = self._clock()
        await self._store.sweep(now)
        await asyncio.to_thread(_remove_begun_before, self._folder, now - _FILES_LIVE)


def _over(kind: str) -> str:
    if kind == MENU:
        return tr(
            "This form is over: it can be sent once, within an hour. Open **Animate image** on the message again."
        )
    return tr(
        "This offer is over: it stood for 15 minutes, for you alone. Nothing was held; send the command again."
    )


def _remove_of(folder: Path, draft_id: int) -> None:
    for file in folder.glob(f"{draft_id}-*"):
        discard(file)


def _remove_begun_before(folder: Path, moment: int) -> None:
    if folder.is_dir():
        for file in folder.iterdir():
            if _begun(file) <= moment:
                file.unlink(missing_ok=True)


def _begun(file: Path) -> int:
    """When the interaction was made that a picture belongs to, in milliseconds since 1970; its id tells."""
    owner = file.name.lstrip(".").split("-")[0]
    return (int(owner) >> _TIME_BITS) + _DISCORD_EPOCH if owner.isdecimal() else 0
