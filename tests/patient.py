"""A bot's health whose parts a test harms one by one."""

from typing import TYPE_CHECKING

from bot.domain.errors import StorageError
from bot.health import Health
from bot.services.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Patient:
    """Nothing has begun at first; `recover` makes all well."""

    def __init__(self) -> None:
        self.connected = False
        self.fault: Exception | None = None
        self.writes = 0
        self.seconds = 0.0
        self.pulse = Pulse(self.monotonic)
        self.health = Health(lambda: self.connected, self.write, self.pulse, self.monotonic)
        self.harms: dict[str, Callable[[], Awaitable[None]]] = {
            "gateway": self.disconnect,
            "database": self.fill_disk,
            "scheduler": self.stall,
        }

    def monotonic(self) -> float:
        return self.seconds

    async def write(self) -> None:
        if self.fault:
            raise self.fault
        self.writes += 1

    async def recover(self) -> None:
        self.connected, self.fault = True, None
        await self.health.try_write()
        self.pulse.beat()

    async def disconnect(self) -> None:
        self.connected = False

    async def fill_disk(self) -> None:
        self.fault = StorageError("The disk is full.")
        await self.health.try_write()

    async def stall(self) -> None:
        """The others go on."""
        self.seconds += 121
        await self.health.try_write()
