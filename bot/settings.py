"""Settings come from the environment or `.env`; every problem is told at once, with the name and the fix."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from bot.domain.catalog import Format
from bot.domain.errors import SetupError
from bot.domain.limits import Limit, Period, Scope
from bot.domain.money import parse_dollars
from bot.providers.registry import PROVIDERS
from bot.vault import Vault

T = TypeVar("T")

_CONTACT_LENGTH = 200
_SHORTEST_TOKEN = 16

SANDBOX = "sandbox"
#: In the order of preference that holds where the operator names none.
PAID = tuple(name for name in PROVIDERS if name != SANDBOX)


class Settings(BaseModel):
    """What the operator chose. Money is micros, limits of 0 allow nothing; made by `read_settings`."""

    model_config = ConfigDict(frozen=True)

    discord_token: SecretStr | None = None
    discord_api_url: str | None = None
    discord_gateway_url: str | None = None
    database: Path = Path("data/conch.db")
    data_dir: Path = Path("data")
    providers: tuple[str, ...] = ()
    keys: dict[str, SecretStr] = {}
    api_urls: dict[str, str] = {}
    catalog_file: Path | None = None
    default_format: Format = Format(model="hailuo-2.3", duration=6, resolution="768p")
    user_daily_limit: int = 2_000_000
    server_monthly_limit: int = 50_000_000
    bot_daily_limit: int = 100_000_000
    provider_daily_limit: int | None = None
    user_concurrency: int = 2
    poll_seconds: float = 5
    task_deadline_minutes: float = 60
    keep_days: int = 30
    sandbox_seconds: float = 5
    http_port: int | None = None
    public_url: str | None = None
    metrics_token: SecretStr | None = None
    sentry_dsn: SecretStr | None = None
    #: The first seals; the others only open what was sealed with them.
    data_keys: tuple[SecretStr, ...] = ()
    clip_link_days: int = 7
    novita_image_field: Literal["image_url", "image"] = "image_url"
    novita_webhooks: bool = False
    runware_safety: bool = False
    user_installs: bool = False
    gmi_organization: str | None = None
    keep_prompts_days: int = 180
    keep_clips_days: int = 30
    operator_contact: str | None = None
    trusted_hosts: frozenset[str] = frozenset()
    log_format: Literal["text", "json"] = "text"
    log_level: str = "INFO"

    @property
    def keep(self) -> int:
        """Milliseconds for which pictures and last frames are kept."""
        return self.keep_days * 86_400_000

    @property
    def limits(self) -> list[Limit]:
        """The operator's limits; members and servers each have their own share."""
        limits = [
            Limit(Scope.MEMBER, Period.DAY, self.user_daily_limit),
            Limit(Scope.SERVER, Period.MONTH, self.server_monthly_limit),
            Limit(Scope.BOT, Period.DAY, self.bot_daily_limit),
        ]
        if self.provider_daily_limit is not None:
            limits.append(Limit(Scope.PROVIDER, Period.DAY, self.provider_daily_limit))
        return limits

    @property
    def secrets(self) -> list[str]:
        """Every value that must never be seen in a log line."""
        found = [
            self.discord_token,
            self.metrics_token,
            self.sentry_dsn,
            *self.keys.values(),
            *self.data_keys,
        ]
        return [secret.get_secret_value() for secret in found if secret is not None]

    @property
    def vault(self) -> Vault:
        return Vault([key.get_secret_value() for key in self.data_keys])


class _Reader:
    """Reads one variable at a time and remembers every problem."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.problems: list[str] = []

    def text(self, name: str) -> str | None:
        return self._env.get(name, "").strip() or None

    def secret(self, name: str) -> SecretStr | None:
        """The variable, or the content of the file that `<name>_FILE` names."""
        value, file = self.text(name), self.text(f"{name}_FILE")
        if value and file:
            self.problems.append(f"{name} and {name}_FILE are both set: keep one of them.")
        if file and not value:
            try:
                value = Path(file).read_text("utf-8-sig").strip()
            except (OSError, UnicodeDecodeError) as error:
                self.problems.append(f"{name}_FILE: {file} cannot be read ({error}).")
                return None
            if not value:
                self.problems.append(f"{name}_FILE: {file} is empty.")
        return SecretStr(value) if value else None

    def secrets(self, name: str, check: Callable[[list[str]], object]) -> tuple[SecretStr, ...]:
        """Several in one variable, or in the file it may name; `check` raises `ValueError`."""
        found = self.secret(name)
        words = [word.strip() for word in found.get_secret_value().split(",")] if found else []
        try:
            check(words)
        except ValueError as error:
            self.problems.append(f"{name}: {error}.")
            return ()
        return tuple(map(SecretStr, words))

    def parsed(self, name: str, parse: Callable[[str], T], default: T) -> T:
        value = self.text(name)
        if value is None:
            return default
        try:
            return parse(value)
        except ValueError as error:
            self.problems.append(f"{name}: {error}.")
            return default


def read_settings(env: Mapping[str, str]) -> Settings:
    """Read every variable; `SetupError` lists all that is wrong, one sentence a line."""
    read = _Reader(env)
    base = Settings()
    keys = {name: key for name in PAID if (key := read.secret(f"{name.upper()}_API_KEY"))}
    data_dir = read.parsed("DATA_DIR", Path, base.data_dir)
    settings = Settings(
        discord_token=read.secret("DISCORD_TOKEN"),
        discord_api_url=read.parsed("DISCORD_API_URL", _url("http", "https"), None),
        discord_gateway_url=read.parsed("DISCORD_GATEWAY_URL", _url("ws", "wss"), None),
        database=read.parsed("DATABASE_URL", _sqlite_path, data_dir / "conch.db"),
        data_dir=data_dir,
        providers=read.parsed("PROVIDERS", lambda text: _providers(text, keys), tuple(keys)),
        keys=keys,
        api_urls={
            name: url
            for name in PAID
            if (url := read.parsed(f"{name.upper()}_API_URL", _url("http", "https"), None))
        },
        catalog_file=read.parsed("CATALOG_FILE", Path, None),
        default_format=read.parsed("DEFAULT_FORMAT", Format.parse, base.default_format),
        user_daily_limit=read.parsed("USER_DAILY_LIMIT", parse_dollars, base.user_daily_limit),
        server_monthly_limit=read.parsed("SERVER_MONTHLY_LIMIT", parse_dollars, base.server_monthly_limit),
        bot_daily_limit=read.parsed("BOT_DAILY_LIMIT", parse_dollars, base.bot_daily_limit),
        provider_daily_limit=read.parsed("PROVIDER_DAILY_LIMIT", parse_dollars, None),
        user_concurrency=read.parsed("USER_CONCURRENCY", _whole(1, 1000), base.user_concurrency),
        poll_seconds=read.parsed("POLL_SECONDS", _number(0.05, 600), base.poll_seconds),
        task_deadline_minutes=read.parsed(
            "TASK_DEADLINE_MINUTES", _number(0.01, 10080), base.task_deadline_minutes
        ),
        keep_days=read.parsed("KEEP_DAYS", _whole(0, 3650), base.keep_days),
        sandbox_seconds=read.parsed("SANDBOX_SECONDS", _number(0, 86400), base.sandbox_seconds),
        http_port=read.parsed("HTTP_PORT", _whole(0, 65535), None),
        public_url=read.parsed("PUBLIC_URL", _url("http", "https"), None),
        metrics_token=read.secret("METRICS_TOKEN"),
        sentry_dsn=read.secret("SENTRY_DSN"),
        data_keys=read.secrets("DATA_KEY", Vault),
        clip_link_days=read.parsed("CLIP_LINK_DAYS", _whole(1, 365), base.clip_link_days),
        gmi_organization=read.text("GMI_ORGANIZATION_ID"),
        novita_image_field=read.parsed("NOVITA_IMAGE_FIELD", _image_field, base.novita_image_field),
        novita_webhooks=read.parsed("NOVITA_WEBHOOKS", _yes_or_no, base.novita_webhooks),
        runware_safety=read.parsed("RUNWARE_SAFETY", _yes_or_no, base.runware_safety),
        user_installs=read.parsed("USER_INSTALLS", _yes_or_no, base.user_installs),
        keep_prompts_days=read.parsed("KEEP_PROMPTS_DAYS", _whole(1, 3650), base.keep_prompts_days),
        keep_clips_days=read.parsed("KEEP_CLIPS_DAYS", _whole(1, 3650), base.keep_clips_days),
        operator_contact=read.parsed("OPERATOR_CONTACT", _contact, None),
        trusted_hosts=read.parsed("TRUSTED_HOSTS", _hosts, base.trusted_hosts),
        log_format=read.parsed("LOG_FORMAT", _log_format, base.log_format),
        log_level=read.parsed("LOG_LEVEL", _log_level, base.log_level),
    )
    if settings.public_url and settings.http_port is None:
        read.problems.append("PUBLIC_URL is set, but HTTP_PORT is not: name the port it leads to.")
    if settings.metrics_token and settings.http_port is None:
        read.problems.append("METRICS_TOKEN is set, but HTTP_PORT is not: name the port of /metrics.")
    if settings.metrics_token and len(settings.metrics_token.get_secret_value()) < _SHORTEST_TOKEN:
        read.problems.append(
            f"METRICS_TOKEN is shorter than {_SHORTEST_TOKEN} characters: strangers could guess it."
        )
    if read.problems:
        raise SetupError("\n".join(read.problems))
    return settings


def _url(*schemes: str) -> Callable[[str], str | None]:
    def parse(text: str) -> str:
        if not _is_url(text, schemes):
            # What stands before an @ may be a password.
            found = text.rpartition("@")[2]
            raise ValueError(f"found {found!r}, need an address such as {schemes[-1]}://example.com")
        return text.rstrip("/")

    return parse


def _is_url(text: str, schemes: Sequence[str]) -> bool:
    try:
        address = urlsplit(text)
        return bool(address.scheme in schemes and address.hostname and address.port != 0) and " " not in text
    except ValueError:  # no number for a port, half an IPv6 address
        return False


def _sqlite_path(text: str) -> Path:
    path = text.removeprefix("sqlite:///")
    if path not in {text, "", ":memory:"}:
        return Path(path)
    # The rest may hold a password.
    scheme = text.partition(":")[0]
    raise ValueError(f"found {scheme}:…, need sqlite:/// and a path, such as sqlite:///data/conch.db")


def _providers(text: str, keys: Mapping[str, SecretStr]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    known = (*PAID, SANDBOX)
    if not names:
        raise ValueError(f"found {text!r}, known are {', '.join(known)}")
    for name in names:
        if name not in known:
            raise ValueError(f"found {name!r}, known are {', '.join(known)}")
        if name != SANDBOX and name not in keys:
            raise ValueError(f"{name} is named but {name.upper()}_API_KEY is not set")
    return names


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            raise ValueError(f"found {text!r}, need a whole number from {least} to {most}")
        return int(text)

    return parse


def _number(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not (re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) and least <= float(text) <= most):
            raise ValueError(f"found {text!r}, need a number from {least:g} to {most:g}")
        return float(text)

    return parse


def _hosts(text: str) -> frozenset[str]:
    return frozenset(host.strip().lower() for host in text.split(",") if host.strip())


def _contact(text: str) -> str:
    words = " ".join(text.split())
    if len(words) > _CONTACT_LENGTH:
        raise ValueError(f"found {len(words)} characters, need at most {_CONTACT_LENGTH}, such as an address")
    return words


def _yes_or_no(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in known:
        raise ValueError(f"found {text!r}, need yes or no")
    return known[text.lower()]


def _image_field(text: str) -> Literal["image_url", "image"]:
    match text:
        case "image_url":
            return "image_url"
        case "image":
            return "image"
    raise ValueError(f"found {text!r}, need image_url or image")


def _log_format(text: str) -> Literal["text", "json"]:
    match text.lower():
        case "text":
            return "text"
        case "json":
            return "json"
    raise ValueError(f"found {text!r}, need text or json")


def _log_level(text: str) -> str:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR")
    if text.upper() not in levels:
        raise ValueError(f"found {text!r}, need one of {', '.join(levels)}")
    return text.upper()
