"""A new `DATA_KEY`: what lies on disk is sealed with it before anything else is done."""

import asyncio
import logging
from pathlib import Path

from bot.domain.errors import Unreadable
from bot.media.files import write_whole
from bot.vault import Vault
from storage.sealed import SealedStore

log = logging.getLogger(__name__)

#: Below the data folder; the sandbox's own JSON holds prompts.
_SEALED_FILES = ("frames/*.jpg", "frames/drafts/*.jpg", "ends/*.png", "sandbox/*.json")
#: Samples of the keys that these are sealed with, the newest first. A restored database may be older than they are.
_KEYS = "sealed-with"


class Resealing:
    """Goes over everything once for each new key; a start that a crash interrupts begins again."""

    def __init__(self, store: SealedStore, folder: Path, vault: Vault) -> None:
        self._store = store
        self._folder = folder
        self._vault = vault

    async def run(self) -> None:
        """`SetupError` where a key is missing that files are sealed with.

        `StorageError` where it cannot be done, such as with a full disk: then the older keys are needed still.
        """
        samples = await asyncio.to_thread(self._agree)
        if len(samples) > 1 or await self._store.pending():
            log.info("sealing prompts and pictures with the first DATA_KEY; this may take a while")
            rows = await self._store.reseal()
            files = await asyncio.to_thread(self._reseal_files)
            await self._store.done()
            await asyncio.to_thread(self._note, samples[:1])
            log.info(
                "sealed %d rows and %d files; older keys are needed for older backups alone", rows, files
            )

    def _agree(self) -> list[str]:
        """The samples of the keys in use, noted before anything is sealed with the newest."""
        file = self._folder / _KEYS
        known = file.read_text("utf-8").splitlines() if file.exists() else []
        self._vault.must_open_all(known, self._folder)
        if (samples := self._vault.with_newest(known)) != known:
            self._note(samples)
        return samples

    def _note(self, samples: list[str]) -> None:
        if samples:
            write_whole(self._folder / _KEYS, "\n".join(samples).encode())

    def _reseal_files(self) -> int:
        sealed = 0
        for file in [file for pattern in _SEALED_FILES for file in self._folder.glob(pattern)]:
            try:
                self._vault.seal_file(file)
                sealed += 1
            except Unreadable as error:
                # No key that is here opens it, so nothing is lost by going on.
                log.error("%s stays as it is: %s", file, error)  # noqa: TRY400 - not a bug
        return sealed
