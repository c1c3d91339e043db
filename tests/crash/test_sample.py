"""A few points of the crash matrix, always the same ones; `make crash` plays them all."""

import asyncio
import random

import pytest

from tests.crash.matrix import AT_ONCE, SCENARIOS, Props, make_props, play

SEED = 6
SEAMS = {
    *("discord →", "discord ←", "provider →", "provider ←", "gateway →", "gateway ←"),
    *("commit before", "commit after", "write", "rename", "remove", "child →", "child ←"),
}


def seam(point: str) -> str:
    """Which of the wrapped seams a point is at."""
    kind, second, *_ = point.split()
    if kind == "commit":
        return f"commit {point.split('; ')[1].split(maxsplit=1)[0]}"
    return f"{kind} {second}" if second in {"→", "←"} else kind


def sample(points: list[str], seams: set[str]) -> list[str]:
    """One point at each of these seams."""
    chance = random.Random(SEED)
    return [chance.choice([point for point in points if seam(point) == one]) for one in sorted(seams)]


@pytest.fixture(scope="module")
def props(tmp_path_factory: pytest.TempPathFactory) -> Props:
    return asyncio.run(make_props(tmp_path_factory.mktemp("props")))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("scenario", "seams"),
    [
        ("mindvideo", {"discord →", "discord ←", "gateway ←", "rename"}),
        ("novita", {"provider →", "provider ←", "commit before", "commit after"}),
    ],
)
async def test_killed_anywhere_nothing_is_lost_or_paid_twice(
    scenario: str, seams: set[str], props: Props
) -> None:
    gate = asyncio.Semaphore(AT_ONCE)
    points = (await play(SCENARIOS[scenario], props)).points
    if SCENARIOS[scenario].whole:
        assert {seam(point) for point in points} >= SEAMS, "a seam is no longer seen"

    async def killed(point: str) -> bool:
        async with gate:
            return (await play(SCENARIOS[scenario], props, point, twice=True)).crashes > 0

    chosen = sample(points, seams)
    assert dict(zip(chosen, await asyncio.gather(*map(killed, chosen)), strict=True)) == dict.fromkeys(
        chosen, True
    )
