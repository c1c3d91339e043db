"""The outside of a bot under load: a Discord full of members and two providers, noting when everything happened.

The stand-ins are those of the tests, on loopback HTTP and as strict as there. A clip ends with its job's number, so
that what is posted is known by its bytes, whatever a bot writes beside it.
"""

import asyncio
import random
import re
import struct
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp import web

from bot.demo.backend import Cdn
from bot.demo.standin import Channel, DiscordStandIn, Fault, Member, Request
from tests.providers import standin
from tests.providers.mindvideo_standin import MindVideoStandIn
from tests.providers.runware_standin import RunwareStandIn

SERVERS, MEMBERS = 10, 100
#: Seconds until a job is told to be worked on.
BEGUN = 3.0
#: Seconds until Discord answers, but for what acknowledges: that is measured.
ANSWER = 0.1
_TAIL = struct.Struct(">I4sQ")
_CALLBACK = re.compile(r"/interactions/(\d+)/[^/]+/callback")


@dataclass
class Diary:
    """Moments are seconds of one clock; the keys are interactions, and the numbers that prompts begin with."""

    asked: dict[int, float] = field(default_factory=dict)
    acknowledged: dict[int, float] = field(default_factory=dict)
    jobs: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    ready: dict[int, float] = field(default_factory=dict)
    posted: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    #: Requests about the status of jobs, and the jobs that they asked about.
    calls: int = 0
    looks: int = 0
    first_call: float | None = None


class _Clips(dict[str, bytes]):
    """Holds the end of each clip and gives the whole: a thousand of them would fill the memory."""

    def __init__(self, film: bytes) -> None:
        super().__init__()
        self._film = film

    def __getitem__(self, job_id: str) -> bytes:
        return self._film + super().__getitem__(job_id)


class _Timed(standin.StandIn):
    """A provider whose jobs are ready after a time that follows from their number alone, the same for every bot."""

    diary: Diary
    takes: tuple[float, float]

    def time_by(self, diary: Diary, takes: tuple[float, float]) -> None:
        self.diary, self.takes = diary, takes
        self.clips = _Clips(self.clip)
        self.before = self._note

    def hold(self, job_id: str) -> None:
        """A job that was sent long ago and will not be ready."""
        working = list(self.steps)[-1]
        self.jobs[job_id] = standin.StandInJob(job_id, "", {}, Decimal(0), working, self.now)
        self.charges[job_id] = Decimal(0)

    def _make(self, job_id: str, model: str, wish: dict[str, Any], price: Decimal) -> standin.StandInJob:
        job = super()._make(job_id, model, wish, price)
        number = int(str(wish.get("prompt") or wish["positivePrompt"]).split()[0])
        self.diary.jobs[number] += 1
        takes = random.Random(number).uniform(*self.takes)  # noqa: S311 - the same in every run
        loop = asyncio.get_running_loop()
        loop.call_later(BEGUN, self.advance, job_id, list(self.steps)[-1])
        loop.call_later(takes, self._end, job_id, number)
        return job

    def _end(self, job_id: str, number: int) -> None:
        self.finish(job_id, clip=_TAIL.pack(_TAIL.size, b"free", number))
        self.diary.ready[number] = time.perf_counter()

    def _read(self, job: standin.StandInJob) -> None:
        self.diary.looks += 1
        super()._read(job)

    async def _note(self, request: web.Request) -> None:
        self.requests.clear()
        if request.method == "GET" or b'"getResponse"' in await request.read():
            self.diary.calls += not request.path.startswith("/clips/")
            self.diary.first_call = self.diary.first_call or time.perf_counter()


class TimedMindVideo(_Timed, MindVideoStandIn):
    pass


class TimedRunware(_Timed, RunwareStandIn):
    pass


class _NotingCdn(Cdn):
    """Notes which clip a message brings, and forgets it."""

    def __init__(self, diary: Diary) -> None:
        super().__init__(time.time)
        self._diary = diary

    def store_attachment(
        self, attachment_id: int, channel_id: int, filename: str, data: bytes, description: str | None
    ) -> dict[str, Any]:
        *_, number = _TAIL.unpack(data[-_TAIL.size :])
        self._diary.posted[number].append(time.perf_counter())
        entry = super().store_attachment(attachment_id, channel_id, filename, b"", description)
        return {**entry, "size": len(data)}


class BusyDiscord(DiscordStandIn):
    def __init__(self, diary: Diary) -> None:
        super().__init__()
        self.diary = diary
        self.backend.cdn = _NotingCdn(diary)
        self.before = self._note

    async def _note(self, request: Request) -> Fault | None:
        if found := _CALLBACK.match(request.path):
            self.diary.acknowledged.setdefault(int(found[1]), time.perf_counter())
        else:
            await asyncio.sleep(ANSWER)
        return None


@dataclass
class Crowd:
    discord: BusyDiscord
    providers: dict[str, TimedMindVideo | TimedRunware]
    diary: Diary
    members: list[tuple[Member, Channel]]

    @property
    def env(self) -> dict[str, str]:
        found = {
            "DISCORD_TOKEN": self.discord.token,
            "DISCORD_API_URL": self.discord.api_url,
            "DISCORD_GATEWAY_URL": self.discord.gateway_url,
        }
        for name, provider in self.providers.items():
            found |= {f"{name.upper()}_API_URL": provider.url, f"{name.upper()}_API_KEY": provider.key}
        return found

    async def ask(self, number: int, command: str, options: dict[str, Any]) -> None:
        """The members take turns."""
        member, channel = self.members[number % len(self.members)]
        prompt = f"{number} paper boats crossing a puddle in the rain, seen from a low bridge at dusk"
        began = time.perf_counter()
        asked = await self.discord.slash(member, channel, command, prompt=prompt, **options)
        self.diary.asked[asked.id] = began

    def hold(self, count: int) -> list[tuple[str, str]]:
        """So many jobs that are worked on for ever, by turns at each provider: its name and the job's id."""
        chance = random.Random(7)  # noqa: S311 - the same in every run
        held = []
        for number in range(count):
            name = list(self.providers)[number % len(self.providers)]
            job_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
            self.providers[name].hold(job_id)
            held.append((name, job_id))
        return held

    def complaints(self) -> list[str]:
        """What a bot did that the real ones would not have taken."""
        return [*self.discord.problems, *(one for name in self.providers.values() for one in name.refused)]


@asynccontextmanager
async def gathered(clip: bytes, takes: tuple[float, float]) -> AsyncIterator[Crowd]:
    """`takes`: the least and the most seconds that a job takes."""
    diary = Diary()
    async with (
        BusyDiscord(diary) as discord,
        TimedMindVideo(clip=clip) as mindvideo,
        TimedRunware(clip=clip) as runware,
    ):
        runware.balance = Decimal(1_000_000)
        members = []
        for place in range(SERVERS):
            server = await discord.add_server(f"Reef {place}")
            channels = [await discord.add_channel(server, f"clips {number}") for number in range(2)]
            for number in range(MEMBERS // SERVERS):
                member = await discord.add_member(server, f"Ann {place}-{number}")
                members.append((member, channels[number % 2]))
        for provider in (mindvideo, runware):
            provider.time_by(diary, takes)
        random.Random(7).shuffle(members)  # noqa: S311 - the same in every run
        yield Crowd(discord, {"mindvideo": mindvideo, "runware": runware}, diary, members)
