"""Settings: every variable, its default, its bad values, and no secret in any text."""

from pathlib import Path

import pytest

from bot.domain.catalog import Format
from bot.domain.errors import SetupError
from bot.domain.limits import Limit, Period, Scope
from bot.settings import PAID, Settings, read_settings
from bot.vault import Vault, new_key

SECRET = "mv_live_very-secret-0815"


def refusal(**env: str) -> str:
    with pytest.raises(SetupError) as caught:
        read_settings(env)
    return str(caught.value)


# ------------------------------------------------------------------ defaults


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    assert read_settings({}) == Settings(
        discord_token=None,
        discord_api_url=None,
        discord_gateway_url=None,
        database=Path("data/conch.db"),
        data_dir=Path("data"),
        providers=(),
        keys={},
        api_urls={},
        catalog_file=None,
        default_format=Format(model="hailuo-2.3", duration=6, resolution="768p"),
        user_daily_limit=2_000_000,
        server_monthly_limit=50_000_000,
        bot_daily_limit=100_000_000,
        provider_daily_limit=None,
        user_concurrency=2,
        poll_seconds=5,
        task_deadline_minutes=60,
        keep_prompts_days=180,
        keep_clips_days=30,
        operator_contact=None,
        metrics_token=None,
        sentry_dsn=None,
        trusted_hosts=frozenset(),
        log_format="text",
        log_level="INFO",
    )


def test_an_empty_or_blank_variable_is_no_value() -> None:
    names = (
        "DISCORD_TOKEN",
        "PROVIDERS",
        "USER_DAILY_LIMIT",
        "DATABASE_URL",
        "GMI_API_KEY_FILE",
        "LOG_LEVEL",
    )
    assert read_settings(dict.fromkeys(names, " ")) == read_settings({})


def test_without_a_provider_limit_there_are_three_limits() -> None:
    three = [
        Limit(Scope.MEMBER, Period.DAY, 2_000_000),
        Limit(Scope.SERVER, Period.MONTH, 50_000_000),
        Limit(Scope.BOT, Period.DAY, 100_000_000),
    ]
    assert read_settings({}).limits == three
    fourth = Limit(Scope.PROVIDER, Period.DAY, 500_000)
    assert read_settings({"PROVIDER_DAILY_LIMIT": "0.50"}).limits == [*three, fourth]


def test_the_database_stands_in_the_data_folder_unless_told() -> None:
    assert read_settings({"DATA_DIR": "/srv"}).database == Path("/srv/conch.db")
    told = read_settings({"DATA_DIR": "/srv", "DATABASE_URL": "sqlite:////var/lib/my conch.db"})
    assert told.database == Path("/var/lib/my conch.db")


# ------------------------------------------------------------------ good and bad values


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("DISCORD_API_URL", "http://127.0.0.1:8080/api/", "discord_api_url", "http://127.0.0.1:8080/api"),
        ("DISCORD_API_URL", "HTTPS://discord.example", "discord_api_url", "HTTPS://discord.example"),
        ("DISCORD_GATEWAY_URL", "ws://[::1]:9000", "discord_gateway_url", "ws://[::1]:9000"),
        ("DISCORD_GATEWAY_URL", "wss://gateway.example", "discord_gateway_url", "wss://gateway.example"),
        ("DATABASE_URL", "sqlite:///here.db", "database", Path("here.db")),
        ("DATA_DIR", "/srv/conch data", "data_dir", Path("/srv/conch data")),
        ("CATALOG_FILE", "my.toml", "catalog_file", Path("my.toml")),
        ("DEFAULT_FORMAT", "hailuo-02/10/512p", "default_format", Format.parse("hailuo-02/10/512p")),
        ("USER_DAILY_LIMIT", "0", "user_daily_limit", 0),
        ("USER_DAILY_LIMIT", " 1.25 ", "user_daily_limit", 1_250_000),
        ("SERVER_MONTHLY_LIMIT", "1000", "server_monthly_limit", 1_000_000_000),
        ("BOT_DAILY_LIMIT", ".5", "bot_daily_limit", 500_000),
        ("PROVIDER_DAILY_LIMIT", "0", "provider_daily_limit", 0),
        ("CLIP_LINK_DAYS", "1", "clip_link_days", 1),
        ("CLIP_LINK_DAYS", "365", "clip_link_days", 365),
        ("USER_CONCURRENCY", "1", "user_concurrency", 1),
        ("USER_CONCURRENCY", "1000", "user_concurrency", 1000),
        ("POLL_SECONDS", "0.05", "poll_seconds", 0.05),
        ("POLL_SECONDS", "600", "poll_seconds", 600),
        ("TASK_DEADLINE_MINUTES", "0.01", "task_deadline_minutes", 0.01),
        ("SANDBOX_SECONDS", "0", "sandbox_seconds", 0),
        ("KEEP_PROMPTS_DAYS", "1", "keep_prompts_days", 1),
        ("KEEP_PROMPTS_DAYS", "3650", "keep_prompts_days", 3650),
        ("KEEP_CLIPS_DAYS", "7", "keep_clips_days", 7),
        ("OPERATOR_CONTACT", " Ada,\nhttps://ada.example ", "operator_contact", "Ada, https://ada.example"),
        ("TRUSTED_HOSTS", "Minio.Lan, 10.0.0.7 ,,", "trusted_hosts", frozenset({"minio.lan", "10.0.0.7"})),
        ("LOG_FORMAT", "JSON", "log_format", "json"),
        ("LOG_FORMAT", "text", "log_format", "text"),
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("PROVIDERS", "Sandbox", "providers", ("sandbox",)),
    ],
)
def test_a_good_value_is_taken(name: str, text: str, field: str, value: object) -> None:
    assert getattr(read_settings({name: text}), field) == value


ADDRESS = ["ftp://x", "discord.com", "//x", "x", "http:/x", "http://", "http://:80", "http://a b", "http://x:port",
           "http://x:99999", "http://["]  # fmt: skip
MONEY = ["-1", "two", "$2", "1e400", "NaN", "inf", "٣", "1_000", "2,50", "100000001"]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        *(("DISCORD_API_URL", text) for text in ADDRESS),
        *(("DISCORD_GATEWAY_URL", text) for text in ("https://x", "ws://", "gateway.discord.gg")),
        *((f"{name.upper()}_API_URL", "ftp://x") for name in PAID),
        *(
            ("DATABASE_URL", text)
            for text in ("conch.db", "sqlite://x.db", "sqlite:///", "sqlite:///:memory:")
        ),
        *(("DATABASE_URL", text) for text in ("postgresql://u:p@host/db", "mysql://host")),
        *(("DEFAULT_FORMAT", text) for text in ("768p", "hailuo-02/6", "hailuo-02/٦/768p")),
        *(("USER_DAILY_LIMIT", text) for text in MONEY),
        *((name, "much") for name in ("SERVER_MONTHLY_LIMIT", "BOT_DAILY_LIMIT", "PROVIDER_DAILY_LIMIT")),
        *(("CLIP_LINK_DAYS", text) for text in ("0", "366", "-1", "0.5", "a week")),
        *(("USER_CONCURRENCY", text) for text in ("0", "1001", "-1", "1.5", "two", "٣", "9" * 5000)),
        *(
            ("POLL_SECONDS", text)
            for text in ("0", "0.04", "601", "nan", "inf", "-5", "five", "٣", "1_0", "1e1")
        ),
        *(("TASK_DEADLINE_MINUTES", text) for text in ("0", "10081", "an hour")),
        *(("SANDBOX_SECONDS", text) for text in ("-1", "86401")),
        *(("KEEP_PROMPTS_DAYS", text) for text in ("0", "3651", "-1", "half a year", "1.5")),
        *(("KEEP_CLIPS_DAYS", text) for text in ("0", "never")),
        ("OPERATOR_CONTACT", "x" * 201),
        *(("LOG_FORMAT", text) for text in ("xml", "json text")),
        *(("LOG_LEVEL", text) for text in ("LOUD", "10", "CRITICAL")),
        *(("PROVIDERS", text) for text in ("openai", "sandbox;gmi", ",")),
    ],
)
def test_a_bad_value_is_refused_by_its_name(name: str, bad: str) -> None:
    (sentence,) = refusal(**{name: bad}).splitlines()
    assert sentence.startswith(f"{name}: ")
    assert sentence.endswith(".")


def test_several_problems_are_told_at_once() -> None:
    sentences = refusal(
        USER_DAILY_LIMIT="much", LOG_LEVEL="LOUD", GMI_API_KEY_FILE="/no/such/file", POLL_SECONDS="0"
    ).splitlines()
    assert [sentence.partition(":")[0] for sentence in sentences] == [
        "GMI_API_KEY_FILE",
        "USER_DAILY_LIMIT",
        "POLL_SECONDS",
        "LOG_LEVEL",
    ]


# ------------------------------------------------------------------ providers


def test_every_provider_with_a_key_is_on_in_the_order_of_preference() -> None:
    keys = {f"{name.upper()}_API_KEY": SECRET for name in reversed(PAID)}
    assert read_settings(keys).providers == PAID
    assert read_settings({"NOVITA_API_KEY": SECRET}).providers == ("novita",)


def test_the_operators_order_decides_and_doubles_count_once() -> None:
    env = {"GMI_API_KEY": SECRET, "MINDVIDEO_API_KEY": SECRET, "PROVIDERS": "sandbox, GMI,gmi ,mindvideo,"}
    assert read_settings(env).providers == ("sandbox", "gmi", "mindvideo")


def test_a_key_whose_provider_is_not_named_stays_off_but_is_kept() -> None:
    settings = read_settings({"GMI_API_KEY": SECRET, "PROVIDERS": "sandbox"})
    assert settings.providers == ("sandbox",)
    assert settings.secrets == [SECRET]


@pytest.mark.parametrize("name", PAID)
def test_a_named_provider_without_its_key_is_refused(name: str) -> None:
    assert f"{name} is named but {name.upper()}_API_KEY is not set" in refusal(PROVIDERS=name)


@pytest.mark.parametrize("name", PAID)
def test_every_provider_may_have_another_address(name: str) -> None:
    settings = read_settings({f"{name.upper()}_API_URL": "http://127.0.0.1:9/v1/"})
    assert settings.api_urls == {name: "http://127.0.0.1:9/v1"}
    assert settings.providers == ()


# ------------------------------------------------------------------ secrets


NAMES = ["DISCORD_TOKEN", *(f"{name.upper()}_API_KEY" for name in PAID)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [SECRET, f" {SECRET}\r\n", f"\ufeff{SECRET}\n"])
def test_a_secret_may_come_from_a_file(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / "secret"
    file.write_text(content, "utf-8")
    assert read_settings({f"{name}_FILE": str(file)}).secrets == [SECRET]
    assert read_settings({name: f" {SECRET} "}).secrets == [SECRET]


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_file_that_is_missing_empty_or_no_text_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe" + SECRET.encode())
    for file, reason in (("none", "cannot be read"), ("empty", "is empty"), ("binary", "cannot be read")):
        sentence = refusal(**{f"{name}_FILE": str(tmp_path / file)})
        assert sentence.startswith(f"{name}_FILE: {tmp_path / file} {reason}")
        assert SECRET not in sentence
    assert "cannot be read" in refusal(**{f"{name}_FILE": str(tmp_path)})


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_and_its_file_are_not_both_allowed(tmp_path: Path, name: str) -> None:
    sentence = refusal(**{name: SECRET, f"{name}_FILE": str(tmp_path)})
    assert sentence == f"{name} and {name}_FILE are both set: keep one of them."


def test_secrets_are_never_shown() -> None:
    settings = read_settings(dict.fromkeys(NAMES, SECRET))
    assert settings.secrets == [SECRET] * len(NAMES)
    for text in (repr(settings), str(settings), f"{settings}", settings.model_dump_json()):
        assert SECRET not in text


@pytest.mark.parametrize(
    "env",
    [
        {"DATABASE_URL": f"postgresql://conch:{SECRET}@host/conch"},
        {"DATABASE_URL": f"postgresql://host/conch?user=conch&password={SECRET}"},
        {"DATABASE_URL": f"mysql://conch:p@ss@{SECRET}@host/conch"},
        {"MINDVIDEO_API_URL": f"ftp://conch:{SECRET}@proxy.example"},
        {"DISCORD_API_URL": f"conch:{SECRET}@proxy.example"},
        {"DISCORD_TOKEN": SECRET, "GMI_API_KEY": SECRET, "PROVIDERS": "novita", "LOG_LEVEL": "x"},
    ],
)
def test_no_error_text_holds_a_secret(env: dict[str, str]) -> None:
    assert SECRET not in refusal(**env)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings({}).user_daily_limit = 5


def test_a_token_for_metrics_needs_a_port_and_some_length(tmp_path: Path) -> None:
    said = refusal(METRICS_TOKEN="too-short-0815")
    assert "METRICS_TOKEN is set, but HTTP_PORT is not" in said
    assert "METRICS_TOKEN is shorter than 16 characters" in said
    assert "0815" not in said
    (tmp_path / "token").write_text("a-long-token-0815\n")
    settings = read_settings({"METRICS_TOKEN_FILE": str(tmp_path / "token"), "HTTP_PORT": "8080"})
    assert settings.metrics_token
    assert settings.metrics_token.get_secret_value() == "a-long-token-0815"


def test_several_data_keys_may_stand_in_one_variable(tmp_path: Path) -> None:
    keys = [new_key(), new_key()]
    settings = read_settings({"DATA_KEY": " , ".join(keys)})
    assert settings.vault.opens(Vault(keys[1:]).sample())
    assert Vault(keys[:1]).opens(settings.vault.sample())
    assert set(keys) <= set(settings.secrets)
    assert not any(key in repr(settings) for key in keys)
    (tmp_path / "key").write_text(f"{keys[0]}\n")
    assert read_settings({"DATA_KEY_FILE": str(tmp_path / "key")}).vault.keyed
    assert not read_settings({}).vault.keyed


@pytest.mark.parametrize("text", [SECRET, "{key}," + SECRET, "c2hvcnQ="])
def test_what_is_no_data_key_is_refused_without_being_told(text: str) -> None:
    text = text.format(key=new_key())
    said = refusal(DATA_KEY=text)
    assert "DATA_KEY: found" in said
    assert "`conch key` makes one." in said
    assert text not in said


@pytest.mark.parametrize("text", ["{key},", ",,", "{key},,{key}"])
def test_a_comma_too_many_is_told_as_such(text: str) -> None:
    assert "DATA_KEY: found nothing where a key should be" in refusal(DATA_KEY=text.format(key=new_key()))
