"""The commands that Discord is told of: their rules, their choices, and when they are sent."""

import re
from importlib import resources
from pathlib import Path
from typing import Any, cast

import discord
import pytest

from bot import catalog as catalogs
from bot.domain.catalog import Catalog, Format, Mode
from bot.domain.money import dollars
from cogs import video
from storage.marks import MarkStore
from tests.cogs.fixtures import Open
from tests.cogs.scene import Scene, told

CATALOG = catalogs.load()
PAID = ("mindvideo", "gmi", "novita", "runware", "minimax")
NAME = re.compile(r"[-_'a-z0-9]{1,32}")
SUBCOMMAND, ATTACHMENT, MESSAGE_MENU = 1, 11, 3


def payload(scene: Scene) -> list[dict[str, Any]]:
    (request,) = scene.sent("PUT", "/commands")
    return list(request.json)


def parts(node: dict[str, Any]) -> list[dict[str, Any]]:
    """A command with its subcommands and their options."""
    return [node, *(part for option in node.get("options", []) for part in parts(option))]


def characters(node: dict[str, Any]) -> int:
    choices = sum(len(choice["name"]) + len(str(choice["value"])) for choice in node.get("choices", []))
    below = sum(characters(option) for option in node.get("options", []))
    return len(node["name"]) + len(node.get("description", "")) + choices + below


def catalog_of(folder: Path, count: int) -> Path:
    """The built-in catalog with so many formats in place of its own."""
    source = resources.files("bot").joinpath("catalog.toml").read_text("utf-8")
    offer = (
        '{{ provider = "mindvideo", model = "hailuo-02", modes = ["text", "image"], duration = {}, '
        'resolution = "768p", price = "0.{:02}", source = "made up", date = 2026-11-01 }},'
    )
    lines = "\n".join(offer.format(number, number) for number in range(1, count + 1))
    path = folder / "catalog.toml"
    path.write_text(
        re.sub(r"offers = \[.*?\n\]", f"offers = [\n{lines}\n]", source, flags=re.DOTALL), "utf-8"
    )
    return path


def options_of(scene: Scene, catalog: Catalog, mode: Mode, providers: tuple[str, ...]) -> dict[str, Any]:
    """The options of one subcommand, by name, for these providers."""
    group = video.group(cast("video.Video", None), catalog, providers).to_dict(scene.app.client.tree)
    (command,) = (option for option in group["options"] if option["name"] == mode)
    return {option["name"]: option for option in command["options"]}


# ------------------------------------------------------------------------ rules


async def test_the_commands_are_those_of_the_design(scene: Scene) -> None:
    assert set(scene.alice.available_commands(scene.channel)) == {
        *("video text", "video image", "video transition"),
        *("tasks list", "tasks show", "tasks cancel"),
        *("usage", "formats"),
        *("privacy show", "privacy export", "privacy erase"),
    }


async def test_names_and_descriptions_keep_discords_rules(scene: Scene) -> None:
    (menu,) = (command for command in payload(scene) if command["type"] == MESSAGE_MENU)
    assert (menu["name"], menu["contexts"]) == ("Animate image", [0])
    every = [part for command in payload(scene) if command is not menu for part in parts(command)]
    assert all(NAME.fullmatch(part["name"]) for part in every)
    assert all(1 <= len(part["description"]) <= 100 for part in every)


async def test_choices_keep_discords_rules(scene: Scene) -> None:
    every = [part for command in payload(scene) for part in parts(command)]
    assert all(len(part.get("choices", [])) <= 25 for part in every)
    choices = [choice for part in every for choice in part.get("choices", [])]
    assert all(1 <= len(choice["name"]) <= 100 and len(str(choice["value"])) <= 100 for choice in choices)


async def test_required_options_come_first(scene: Scene) -> None:
    for command in payload(scene):
        for part in parts(command):
            needed = [option.get("required", False) for option in part.get("options", [])]
            assert needed == sorted(needed, reverse=True)


@pytest.mark.parametrize("providers", [("mindvideo",), PAID, (*PAID, "sandbox")])
async def test_no_command_has_more_than_8000_characters(scene: Scene, providers: tuple[str, ...]) -> None:
    group = video.group(cast("video.Video", None), CATALOG, providers).to_dict(scene.app.client.tree)
    others = [command for command in payload(scene) if command["name"] != "video"]
    assert all(characters(command) <= 8000 for command in [group, *others])


async def test_pictures_are_asked_for_as_attachments(scene: Scene) -> None:
    found = {}
    for mode in Mode:
        options = options_of(scene, CATALOG, mode, ("mindvideo",))
        found[mode.value] = [name for name, option in options.items() if option["type"] == ATTACHMENT]
    assert found == {"text": [], "image": ["first_frame"], "transition": ["first_frame", "last_frame"]}


async def test_discord_itself_bounds_the_prompt_and_the_count(scene: Scene) -> None:
    options = options_of(scene, CATALOG, Mode.TEXT, ("mindvideo",))
    assert (options["prompt"]["min_length"], options["prompt"]["max_length"]) == (1, 2000)
    assert (options["count"]["min_value"], options["count"]["max_value"]) == (1, 4)


async def test_all_fifteen_camera_commands_are_offered(scene: Scene) -> None:
    choices = options_of(scene, CATALOG, Mode.TEXT, ("mindvideo",))["camera"]["choices"]
    assert [choice["value"] for choice in choices] == CATALOG.cameras
    assert len(choices) == 15


async def test_in_direct_messages_one_can_ask_for_ones_own_data_alone(scene: Scene) -> None:
    assert set(scene.alice.user.available_commands()) == {"privacy show", "privacy export", "privacy erase"}


async def test_the_bot_asks_for_no_privileged_intent(scene: Scene) -> None:
    intents = scene.app.client.intents
    assert not intents & discord.Intents(members=True, presences=True, message_content=True)


# ---------------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("providers", "mode", "labels"),
    [
        (
            ("mindvideo",),
            Mode.TRANSITION,
            [
                "Hailuo 02 · 5 s · 768p · $0.225",
                "Hailuo 02 · 10 s · 768p · $0.45",
                "Hailuo 02 · 5 s · 1080p · $0.55",
            ],
        ),
        (
            ("runware",),
            Mode.TRANSITION,
            [
                "Hailuo 02 · 6 s · 768p · $0.28",
                "Hailuo 02 · 10 s · 768p · $0.56",
                "Hailuo 02 · 6 s · 1080p · $0.49",
            ],
        ),
        (("gmi",), Mode.TRANSITION, []),
    ],
)
async def test_labels_name_the_format_and_its_price(
    scene: Scene, providers: tuple[str, ...], mode: Mode, labels: list[str]
) -> None:
    choices = options_of(scene, CATALOG, mode, providers)["format"].get("choices", [])
    assert [choice["name"] for choice in choices] == labels


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    "providers", [("mindvideo", "novita"), ("novita", "mindvideo"), ("gmi", "runware"), PAID, ("sandbox",)]
)
async def test_each_label_shows_the_price_of_the_offer_that_would_be_taken(
    scene: Scene, mode: Mode, providers: tuple[str, ...]
) -> None:
    choices = options_of(scene, CATALOG, mode, providers)["format"]["choices"]
    possible = {o.format.id for o in CATALOG.offers if o.provider in providers and mode.value in o.modes}
    assert {choice["value"] for choice in choices} == possible
    assert len(choices) == len(possible)
    for choice in choices:
        taken = CATALOG.offers_for(mode, Format.parse(choice["value"]), providers)[0]
        assert choice["name"].endswith(f"· {dollars(taken.micros)}")


async def test_a_long_menu_turns_to_autocomplete(open_bot: Open, tmp_path: Path) -> None:
    async with open_bot(catalog_file=catalog_of(tmp_path, 30)) as scene:
        option = options_of(scene, catalogs.load(catalog_of(tmp_path, 30)), Mode.TEXT, ("mindvideo",))[
            "format"
        ]
        assert option["autocomplete"] is True
        assert not option.get("choices")


async def test_a_menu_of_25_stays_a_list(scene: Scene, tmp_path: Path) -> None:
    catalog = catalogs.load(catalog_of(tmp_path, 25))
    assert len(options_of(scene, catalog, Mode.TEXT, ("mindvideo",))["format"]["choices"]) == 25


async def test_autocomplete_finds_what_is_typed_and_what_it_offers_works(
    open_bot: Open, tmp_path: Path
) -> None:
    async with open_bot(catalog_file=catalog_of(tmp_path, 30)) as scene:
        every = await scene.alice.autocomplete(scene.channel, "video text", "format", "")
        (found,) = await scene.alice.autocomplete(scene.channel, "video text", "format", "02 · 27 S")
        await scene.video(format=found["value"])
        assert len(every) == 25
        assert found["name"] == "Hailuo 02 · 27 s · 768p · $0.27"
        assert (await scene.task()).format.id == "hailuo-02/27/768p"


async def test_words_typed_into_autocomplete_are_refused_in_one_message(
    open_bot: Open, tmp_path: Path
) -> None:
    async with open_bot(catalog_file=catalog_of(tmp_path, 60)) as scene:
        words = told(await scene.video(format="the cheap one"))
    assert words.startswith("There is no format `the cheap one` for text clips here. Choose one of: `hailuo")
    assert len(words) <= 2000


async def test_a_mode_that_nobody_makes_is_refused_with_the_reason(open_bot: Open, tmp_path: Path) -> None:
    async with open_bot(catalog_file=catalog_of(tmp_path, 3)) as scene:
        both: dict[str, Any] = {"first_frame": ("a.png", b"x"), "last_frame": ("b.png", b"x")}
        assert "No provider that is switched on makes transition clips." in told(
            await scene.video("transition", **both)
        )


# ------------------------------------------------------------------- when sent


async def test_commands_are_sent_once(scene: Scene) -> None:
    await scene.env.restart_bot()
    await scene.restart()
    assert len(scene.sent("PUT", "/commands")) == 1


async def test_commands_are_sent_again_when_a_choice_changed(scene: Scene, tmp_path: Path) -> None:
    await scene.restart(catalog_file=catalog_of(tmp_path, 3))
    await scene.restart()
    assert len(scene.sent("PUT", "/commands")) == 2


async def test_a_failed_sending_is_not_noted_as_done(scene: Scene, tmp_path: Path) -> None:
    name = f"commands of {scene.env.backend.application_id}"
    before = await MarkStore(scene.app.database).get(name)
    scene.env.inject_error("PUT", "/applications/*/commands", status=503)
    with pytest.raises(discord.HTTPException, match="503"):
        await scene.restart(catalog_file=catalog_of(tmp_path, 3))
    assert await MarkStore(scene.app.database).get(name) == before
