"""Stories: clips that go on from one another, how `/tasks show` tells of them, and the film that Stitch makes."""

import io
from typing import Any

import av
import pytest
from simcord.backend.serializers import message_payload

from bot.domain.task import Task
from bot.posting import texts
from bot.services import stories
from tests.cogs.clips import COMPONENT, click, delivered, fill_in, forge, message, posted
from tests.cogs.scene import Scene, told


async def continued(scene: Scene, task: Task, prompt: str = "it dives") -> Task:
    """Alice's next clip, which goes on from this one."""
    await fill_in(scene, await click(scene, task, "Continue"), prompt=prompt, format=["hailuo-02/5/768p"])
    return await delivered(scene)


async def story(scene: Scene, clip: bytes, length: int) -> list[Task]:
    parts = [await posted(scene, clip, format="hailuo-02/5/768p")]
    while len(parts) < length:
        parts.append(await continued(scene, parts[-1]))
    return parts


def labels(scene: Scene, task: Task) -> list[str]:
    return [str(item.label) for row in message(scene, task).components for item in row.children]


def film_of(scene: Scene) -> tuple[str, bytes]:
    """The newest message and its file."""
    newest = scene.shown()[-1]
    (file,) = newest.attachments
    blob: bytes = scene.env.backend.cdn.get(file["url"])
    return str(newest.content), blob


def frames(clip: bytes) -> int:
    with av.open(io.BytesIO(clip)) as container:
        return len(list(container.decode(video=0)))


async def shown(scene: Scene, task: Task) -> str:
    words = told(await scene.alice.slash(scene.channel, "tasks show", task=task.id))
    return next((line for line in words.splitlines() if line.startswith("**Story:**")), "")


# --------------------------------------------------------------------- the chain


async def test_only_clips_that_go_on_from_another_can_be_stitched(scene: Scene, real_clip: bytes) -> None:
    first, second = await story(scene, real_clip, 2)
    assert labels(scene, first) == ["Again", "Edit", "Continue", "Delete", "Report"]
    assert labels(scene, second) == ["Again", "Edit", "Continue", "Delete", "Report", "Stitch"]


async def test_tasks_show_links_what_comes_before_and_after(scene: Scene, real_clip: bytes) -> None:
    first, second, third = await story(scene, real_clip, 3)
    other = await continued(scene, second)

    def link(task: Task) -> str:
        return f"[{task.id}]({texts.link_of(task)})"

    assert await shown(scene, first) == f"**Story:** **this clip** → {link(second)}"
    assert (
        await shown(scene, second)
        == f"**Story:** {link(first)} → **this clip** → {link(third)}, {link(other)}"
    )
    assert await shown(scene, third) == f"**Story:** {link(first)} → {link(second)} → **this clip**"


async def test_a_clip_alone_has_no_story(scene: Scene, real_clip: bytes) -> None:
    assert await shown(scene, await posted(scene, real_clip)) == ""


async def test_what_is_not_posted_any_more_has_no_link(scene: Scene, real_clip: bytes) -> None:
    first, second = await story(scene, real_clip, 2)
    await fill_in(scene, await click(scene, first, "Delete"))
    assert await shown(scene, second) == f"**Story:** `{first.id}` → **this clip**"


async def test_a_long_story_is_cut_on_both_sides(scene: Scene, real_clip: bytes) -> None:
    (task,) = await story(scene, real_clip, 1)
    await lengthened(scene, task, 9)
    last = f"copy{9:04d}"
    await scene.app.database.write(
        lambda tx: tx.run(
            "UPDATE tasks SET parent_id = :last WHERE id IN ('copy0001', 'copy0002', 'copy0003', 'copy0004')",
            last=last,
        )
    )
    found = await scene.app.tasks.get(last)
    assert found is not None
    line = await shown(scene, found)
    assert line.startswith("**Story:** … → [copy0005]")
    assert line.endswith(", …")


async def lengthened(scene: Scene, task: Task, count: int) -> None:
    """Copies of a clip in the database alone, each going on from the one before."""
    await scene.app.database.write(
        lambda tx: [
            tx.run(
                """
                INSERT INTO tasks (id, parent_id, job_id, message_id, interaction_id, ordinal, server_id, channel_id,
                  member_id, mode, model, duration, resolution, prompt, enhance, provider, price_micros, list_micros,
                  state, created_at, changed_at, polls, message_channel_id)
                SELECT :id, :parent, :id, message_id, :number, ordinal, server_id, channel_id,
                  member_id, mode, model, duration, resolution, prompt, enhance, provider, price_micros, list_micros,
                  state, created_at, changed_at, polls, message_channel_id FROM tasks WHERE id = :task
                """,
                id=f"copy{number:04d}",
                number=number,
                parent=task.id if number == 1 else f"copy{number - 1:04d}",
                task=task.id,
            )
            for number in range(1, count + 1)
        ]
    )


# ---------------------------------------------------------------------- the film


async def test_stitch_posts_every_frame_of_the_story_for_nothing(scene: Scene, real_clip: bytes) -> None:
    parts = await story(scene, real_clip, 3)
    before = await scene.spent_and_held()
    await click(scene, parts[-1], "Stitch", scene.bob)
    words, film = film_of(scene)
    links = " · ".join(f"[{number}]({texts.link_of(part)})" for number, part in enumerate(parts, 1))
    assert words == f"🎞️ The story of 3 clips, 3 s, stitched for <@{scene.bob.id}>.\n-# {links}"
    assert frames(film) == 3 * frames(real_clip)
    assert await scene.spent_and_held() == before
    assert scene.shown()[-1].ping_user_ids == []
    assert [name for name in scene.files() if not name.endswith((".png", ".jpg"))] == []


async def test_from_an_earlier_clip_the_film_ends_there(scene: Scene, real_clip: bytes) -> None:
    parts = await story(scene, real_clip, 3)
    await click(scene, parts[1], "Stitch")
    assert frames(film_of(scene)[1]) == 2 * frames(real_clip)


async def test_it_works_after_a_restart_and_as_often_as_wanted(scene: Scene, real_clip: bytes) -> None:
    parts = await story(scene, real_clip, 2)
    await scene.restart()
    for _ in range(2):
        await click(scene, parts[1], "Stitch")
        assert "The story of 2 clips" in film_of(scene)[0]


async def refused(scene: Scene, task: Task, member: Any = None) -> str:
    """What the member alone is told; nothing is posted and no file is left."""
    before = len(scene.shown())
    words = told(await click(scene, task, "Stitch", member))
    assert len(scene.shown()) == before
    assert [name for name in scene.files() if not name.endswith((".png", ".jpg"))] == []
    return words


async def test_a_clip_that_is_gone_is_named(scene: Scene, real_clip: bytes) -> None:
    first, second, third = await story(scene, real_clip, 3)
    await fill_in(scene, await click(scene, second, "Delete"))
    assert f"Clip 2 of this story, `{second.id}`, has no file in this channel any more" in await refused(
        scene, third
    )
    await scene.app.database.write(lambda tx: tx.run("UPDATE tasks SET removed_by = NULL"))
    assert f"Clip 2 of this story, `{second.id}`" in await refused(scene, third)
    assert first.id != second.id


async def test_a_clip_that_was_posted_elsewhere_is_not_brought_here(scene: Scene, real_clip: bytes) -> None:
    hidden = scene.guild.create_text_channel("hidden")
    scene.standin.clip, scene.standin.auto = real_clip, True
    await scene.alice.slash(hidden, "video text", prompt="a secret")
    secret = await delivered(scene)
    _, second = await story(scene, real_clip, 2)
    await scene.app.database.write(
        lambda tx: tx.run(
            "UPDATE tasks SET parent_id = :parent WHERE id = :id", parent=secret.id, id=second.id
        )
    )
    assert f"Clip 1 of this story, `{secret.id}`, has no file in this channel" in await refused(scene, second)


async def test_a_file_that_cannot_be_read_is_told(scene: Scene, real_clip: bytes) -> None:
    parts = await story(scene, real_clip, 2)
    scene.env.backend.cdn._blobs.clear()
    assert "The film could not be made." in await refused(scene, parts[1])


async def test_a_story_that_is_too_long_is_refused(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = await story(scene, real_clip, 3)
    monkeypatch.setattr(stories, "MOST", 2)
    assert "This story has more than 2 clips, and 2 can be joined." in await refused(scene, parts[2])


async def stitched(scene: Scene, task: Task, limit: int) -> Any:
    """Where Discord takes files of so many bytes."""
    stored = scene.env.backend.messages[task.message_channel_id][task.message_id]
    payload = dict(message_payload(scene.env.backend, stored))
    data = {"custom_id": f"conch:clip:stitch:{task.id}", "component_type": 2}
    return await scene.emit(COMPONENT, data, message=payload, attachment_size_limit=limit)


async def test_a_film_that_is_too_large_here_is_made_smaller(scene: Scene, real_clip: bytes) -> None:
    parts = await story(scene, real_clip, 2)
    limit = 2 * len(real_clip) * 3 // 4
    await stitched(scene, parts[1], limit)
    words, film = film_of(scene)
    assert "2 s, made smaller to fit here, stitched for" in words
    assert (len(film) <= limit, frames(film)) == (True, 2 * frames(real_clip))


async def test_a_film_that_cannot_be_made_small_enough_is_refused_with_both_sizes(
    scene: Scene, real_clip: bytes
) -> None:
    parts = await story(scene, real_clip, 2)
    words = told(await stitched(scene, parts[1], 2**10))
    assert "The film has 0.1 MiB, and Discord takes at most 0.0 MiB here." in words
    assert [name for name in scene.files() if not name.endswith((".png", ".jpg"))] == []


async def test_one_film_at_a_time_for_a_member(scene: Scene, real_clip: bytes) -> None:
    parts = await story(scene, real_clip, 2)
    stored = scene.env.backend.messages[parts[1].message_channel_id][parts[1].message_id]
    payload = dict(message_payload(scene.env.backend, stored))
    data = {"custom_id": f"conch:clip:stitch:{parts[1].id}", "component_type": 2}
    real = scene.env.settle

    async def not_yet() -> None: ...

    scene.env.settle = not_yet
    first = await scene.emit(COMPONENT, data, message=payload)
    scene.env.settle = real
    second = await scene.emit(COMPONENT, data, message=payload)
    assert first.response.attachments
    assert "A film of yours is being made." in told(second)


@pytest.mark.parametrize("forged", ["task9999", "task0001"])
async def test_a_made_up_id_makes_no_film(scene: Scene, real_clip: bytes, forged: str) -> None:
    parts = await story(scene, real_clip, 2)
    result = await forge(scene, parts[1], f"conch:clip:stitch:{forged}")
    assert "no such clip" in told(result) or "does not carry that clip" in told(result)


async def test_another_servers_story_is_not_to_be_had(scene: Scene, real_clip: bytes) -> None:
    parts = await story(scene, real_clip, 2)
    task = await posted(scene, real_clip)
    await scene.app.database.write(
        lambda tx: tx.run("INSERT INTO servers (id, name, first_seen_at) VALUES (1, 'Lagoon', 1)")
    )
    await scene.app.database.write(
        lambda tx: tx.run("UPDATE tasks SET server_id = 1 WHERE id = :id", id=parts[1].id)
    )
    result = await forge(scene, task, f"conch:clip:stitch:{parts[1].id}")
    assert told(result) == "There is no such clip in this server."


async def test_a_clip_alone_cannot_be_stitched_by_a_made_up_button(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    words = told(await forge(scene, task, f"conch:clip:stitch:{task.id}"))
    assert "This clip goes on from no other, so there is nothing to join." in words
