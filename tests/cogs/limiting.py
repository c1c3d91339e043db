"""What tests of limits do again and again: set one, ask for clips, let time pass until a moment."""

from datetime import datetime
from typing import Any

from bot.domain.audit import Deed
from storage.audit import AuditStore
from tests.cogs.scene import Scene, told

#: Dollars of one clip in the default format.
CLIP = 0.3294
SET_IT, LEAVE_IT = "Set it", "Leave it"


async def proposed(scene: Scene, amount: str, period: str, whom: Any = None) -> Any:
    """The answer to Carol's `/admin limits set`, with its buttons where it was not refused."""
    options = {} if whom is None else {"whom": whom}
    return await scene.admin("limits set", amount=amount, period=period, **options)


async def limited(scene: Scene, amount: str, period: str, whom: Any = None) -> str:
    """Set a limit, and what Carol reads then."""
    result = await proposed(scene, amount, period, whom)
    await scene.carol.click(result.response, label=SET_IT)
    words = told(result)
    assert words.startswith("Set: ")
    return words


async def cleared(scene: Scene, period: str, whom: Any = None) -> str:
    options = {} if whom is None else {"whom": whom}
    return told(await scene.admin("limits clear", period=period, **options))


async def listed(scene: Scene) -> str:
    return told(await scene.admin("limits list"))


async def asks(scene: Scene, member: Any, **options: Any) -> str:
    """What the member is told in private of a `/video text`; "" where the clips were held."""
    channel = scene.channel if member.guild.id == scene.guild.id else member.guild.channels["clips"]
    result = await member.slash(channel, "video text", prompt="a whale", **options)
    return "" if result.response else told(result)


async def until(scene: Scene, moment: str) -> None:
    await scene.pass_time(datetime.fromisoformat(moment).timestamp() - scene.now() / 1000)


def unix(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp())


async def deeds(scene: Scene) -> list[Deed]:
    """What the audit says of this server, the newest first."""
    return [entry.deed for entry in await AuditStore(scene.app.database).of_server(scene.guild.id, limit=100)]


async def own_limits(scene: Scene) -> list[str]:
    """The lines of the list that this server has set itself."""
    own = (await listed(scene)).split("**What the operator allows**", maxsplit=1)[0]
    return [line.removeprefix("- ") for line in own.splitlines() if line.startswith("- ")]
