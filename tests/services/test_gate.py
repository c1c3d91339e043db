"""Submits pass together, a look-up alone."""

import asyncio

from bot.services.gate import Gate


async def through(gate: Gate, name: str, order: list[str], until: asyncio.Event | None = None) -> None:
    way = gate.alone() if name.startswith("look") else gate.together()
    async with way:
        order.append(f"{name} in")
        if until:
            await until.wait()
        order.append(f"{name} out")


async def begun(gate: Gate, name: str, order: list[str], until: asyncio.Event) -> "asyncio.Task[None]":
    passing = asyncio.create_task(through(gate, name, order, until))
    await turns()
    return passing


async def turns() -> None:
    """Enough of the loop's turns for everything that can go on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_submits_pass_together() -> None:
    gate, order, until = Gate(), list[str](), asyncio.Event()
    passing = [await begun(gate, name, order, until) for name in ("a", "b")]
    assert order == ["a in", "b in"]
    until.set()
    await asyncio.gather(*passing)


async def test_look_up_waits_for_submits_and_keeps_new_ones_out() -> None:
    gate, order = Gate(), list[str]()
    first, look = asyncio.Event(), asyncio.Event()
    passing = [await begun(gate, "a", order, first), await begun(gate, "look", order, look)]
    passing.append(await begun(gate, "b", order, look))
    assert order == ["a in"]
    first.set()
    await turns()
    assert order == ["a in", "a out", "look in"]
    look.set()
    await asyncio.gather(*passing)
    assert order == ["a in", "a out", "look in", "look out", "b in", "b out"]


async def test_look_ups_pass_one_after_the_other() -> None:
    gate, order, until = Gate(), list[str](), asyncio.Event()
    passing = [await begun(gate, name, order, until) for name in ("look 1", "look 2")]
    assert order == ["look 1 in"]
    until.set()
    await asyncio.gather(*passing)
    assert order[1:3] == ["look 1 out", "look 2 in"]


async def test_gate_is_free_again_after_one_that_was_cut_off() -> None:
    gate, order = Gate(), list[str]()
    passing = [await begun(gate, name, order, asyncio.Event()) for name in ("a", "look")]
    for cut_off in passing:
        cut_off.cancel()
    await asyncio.gather(*passing, return_exceptions=True)
    await through(gate, "look", order)
    await through(gate, "b", order)
    assert order == ["a in", "look in", "look out", "b in", "b out"]
