"""`/admin audit`: what admins did, in words and as a file, of this server and for its admins alone."""

import csv
import io
from typing import Any

from bot.domain.audit import AuditEntry, Deed
from cogs.admin import audit
from storage import audit as store
from storage.audit import AuditStore
from tests.cogs.scene import Scene, told


async def asked(scene: Scene, **options: Any) -> tuple[str, list[list[str]]]:
    """The words, and the rows of the file below its header."""
    result = await scene.admin("audit", **options)
    files = [scene.env.backend.cdn.get(file.url).decode() for file in result.response.attachments]
    rows = [row for file in files for row in csv.reader(io.StringIO(file))]
    return told(result), rows[1:]


async def note(scene: Scene, *deeds: Deed) -> None:
    def work(tx: Any) -> None:
        for deed in deeds:
            store.note(tx, deed, scene.now())

    await scene.app.database.write(work)


def deed(scene: Scene, number: int, **changes: Any) -> Deed:
    return Deed(**{"server_id": scene.guild.id, "actor_id": 1, "action": f"deed {number}", **changes})


async def test_what_was_done_is_told_newest_first_with_who_and_why(scene: Scene) -> None:
    await scene.admin("pause", reason="we count")
    await scene.admin("resume")
    words, rows = await asked(scene)
    newest, oldest = words.split("\n- ")[1:]
    assert newest.endswith(f"<@{scene.carol.id}> **resume** · we count → nothing")
    assert oldest.endswith(f"<@{scene.carol.id}> **pause** · nothing → we count")
    assert [row[1:] for row in rows] == [
        [str(scene.carol.id), "resume", "", "we count", "", ""],
        [str(scene.carol.id), "pause", "", "", "we count", ""],
    ]
    assert rows[0][0].endswith("+00:00")


async def test_strangers_words_break_nothing_and_members_keep_their_names(scene: Scene) -> None:
    await note(
        scene,
        deed(scene, 1, subject=f"task0001 of <@{scene.alice.id}>", reason="@everyone\n# **look** <@&1>"),
    )
    words, _ = await asked(scene)
    assert words.endswith(
        f"**deed 1** task0001 of <@{scene.alice.id}> · \\@everyone # \\*\\*look\\*\\* \\<\\@&1\\>"
    )
    (answer,) = [one for one in scene.sent("PATCH", "/messages/@original") if "deed 1" in str(one.json)]
    assert answer.json["allowed_mentions"] == {"parse": []}


async def test_a_spreadsheet_reads_no_formula(scene: Scene) -> None:
    await note(scene, deed(scene, 1, before="=1+1", after="@SUM(A1)", reason="-2"))
    _, rows = await asked(scene)
    assert rows[0][4:] == ["'=1+1", "'@SUM(A1)", "'-2"]


async def test_only_one_admins_deeds_where_that_is_asked(scene: Scene) -> None:
    await scene.admin("pause", reason="we count")
    await note(scene, deed(scene, 1, actor_id=scene.bob.id))
    words, rows = await asked(scene, by=scene.bob.user)
    assert words.startswith(f"<@{scene.bob.id}> changed, newest first (1 in the file):\n- ")
    assert [row[2] for row in rows] == ["deed 1"]


async def test_nothing_done_is_said(scene: Scene) -> None:
    assert await asked(scene) == ("Admins have changed nothing in this server so far.", [])
    words, _ = await asked(scene, by=scene.bob.user)
    assert words == f"<@{scene.bob.id}> has changed nothing in this server so far."


async def test_fifteen_are_told_and_the_file_has_five_thousand(scene: Scene) -> None:
    await note(scene, *(deed(scene, number) for number in range(5003)))
    words, rows = await asked(scene)
    assert words.count("**deed ") == 15
    assert "(5,000 in the file)" in words
    assert [rows[0][2], rows[-1][2]] == ["deed 5002", "deed 3"]


async def test_long_ones_fit_into_a_message_and_point_to_the_file(scene: Scene) -> None:
    long = dict.fromkeys(["subject", "before", "after", "reason"], "*" * 400)
    await note(scene, *(deed(scene, number, **long) for number in range(15)))
    words, rows = await asked(scene)
    assert len(words) <= 2000
    assert words.endswith("\n… and more in the file")
    assert len(rows) == 15


def test_the_file_stays_below_its_bytes() -> None:
    entry = AuditEntry(0, Deed(50, 1, "pause", after="é" * 300))
    sheet, rows = audit.written([entry] * 10, most=3000)
    assert rows == 4
    assert len(sheet) < 3000 + 100


async def test_another_servers_deeds_are_not_shown(scene: Scene) -> None:
    there = await scene.elsewhere()
    await there.dora.slash(there.channel, "admin pause", reason="theirs alone")
    assert await asked(scene) == ("Admins have changed nothing in this server so far.", [])
    assert (await asked(scene, by=there.dora.user))[1] == []


async def test_a_member_without_the_right_reads_nothing(scene: Scene) -> None:
    await scene.admin("pause", reason="we count")
    result = await scene.raw("admin audit", member=scene.alice)
    assert "Manage Server" in told(result)
    assert "we count" not in told(result)
    assert result.response.attachments == []


async def test_reading_it_changes_nothing(scene: Scene) -> None:
    await asked(scene)
    assert await AuditStore(scene.app.database).of_server(scene.guild.id, limit=9) == []
