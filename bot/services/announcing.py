"""The progress message that a crash left out."""

from bot.domain.ports import Announcer
from bot.domain.task import Task
from storage.tasks import TaskStore


async def announce(tasks: list[Task], store: TaskStore, announcer: Announcer, at: int) -> None:
    """Post it for all the clips of a command, and note where it stands; `DeliveryError` where that cannot be."""
    posted = await announcer.announce(tasks)
    await store.announced(
        tasks[0].interaction_id,
        channel_id=posted.channel_id,
        message_id=posted.message_id,
        urls=posted.picture_urls,
        at=at,
    )
