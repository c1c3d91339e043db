"""A new `DATA_KEY`: what lies on disk is sealed with it before anything else is done."""

import asyncio
import logging
from pathlib import Path

from bot.domain.errors import Unreadable
from bot.vault import Vault
from storage.sealed import SealedStore

log = logging.getLogger(__name__)

#: Below the data folder; the sandbox's own JSON holds prompts.
_SEALED_FILES = ("frames/*.jpg", "frames/drafts/*.jpg", "ends/*.png", "sandbox/*.json")


class Resealing:
    """Goes over everything once for each new key; a start that a crash interrupts begins again."""

    def __init__(self, store: SealedStore, folder: Path, vault: Vault) -> None:
        self._store = store
        self._folder = folder
        self._vault = vault

    async def run(self) -> None:
        """`StorageError` where it cannot be done, such as with a full disk: then the older keys are needed still."""
        if not await self._store.pending():
            return
        log.info("sealing prompts and pictures with the first DATA_KEY; this may take a while")
        rows = await self._store.reseal()
        files = await asyncio.to_thread(self._reseal_files)
        await self._store.done()
        log.info("sealed %d rows and %d files; keys after the first are not needed any more", rows, files)

    def _reseal_files(self) -> int:
        # What begins with a dot was left by a crash, and goes at every start.
        found = [
            file
            for pattern in _SEALED_FILES
            for file in self._folder.glob(pattern)
            if not file.name.startswith(".")
        ]
        for file in found:
            try:
                self._vault.seal_file(file)
            except Unreadable as error:
                # No key that is here opens it, so nothing is lost by going on.
                log.error("%s stays as it is: %s", file, error)  # noqa: TRY400 - not a bug
        return len(found)
