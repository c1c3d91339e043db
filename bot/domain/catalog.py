"""The catalog is the table of all offers; commands, checks, routing and price labels are made from it alone."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from bot.domain.money import dollars, micros_of

Resolution = Literal["512p", "768p", "1080p"]
RESOLUTIONS: tuple[Resolution, ...] = ("512p", "768p", "1080p")


class Mode(StrEnum):
    TEXT = "text"
    IMAGE = "image"
    TRANSITION = "transition"


class Format(BaseModel):
    """One (model, duration in seconds, resolution) triple; its id reads `hailuo-02/6/768p`."""

    model_config = ConfigDict(frozen=True)

    model: str
    duration: int
    resolution: Resolution

    @property
    def id(self) -> str:
        return f"{self.model}/{self.duration}/{self.resolution}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id; `ValueError` where it is none."""
        match = re.fullmatch(r"([a-z0-9.-]+)/([0-9]{1,3})/(512p|768p|1080p)", text)
        if not match:
            raise ValueError(f"{text!r} is no format id such as hailuo-2.3/6/768p")
        return cls.model_validate({"model": match[1], "duration": int(match[2]), "resolution": match[3]})


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class Model(_Entry):
    label: Label


class ImageRules(_Entry):
    """What a provider takes as a frame. Sides in pixels; ratios are width divided by height."""

    max_bytes: Annotated[int, Field(gt=0)]
    min_side: Annotated[int, Field(gt=0)]
    min_ratio: Annotated[float, Field(gt=0)]
    max_ratio: Annotated[float, Field(gt=0)]
    source: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_ratio > self.max_ratio:
            raise ValueError(
                f"min_ratio {self.min_ratio:g} is above max_ratio {self.max_ratio:g}: nothing fits"
            )
        return self

    @classmethod
    def strictest(cls, all_rules: Sequence[Self]) -> Self:
        """What every one of several providers takes."""
        return all_rules[0].model_copy(
            update={
                "max_bytes": min(rules.max_bytes for rules in all_rules),
                "min_side": max(rules.min_side for rules in all_rules),
                "min_ratio": max(rules.min_ratio for rules in all_rules),
                "max_ratio": min(rules.max_ratio for rules in all_rules),
            }
        )


class ProviderRules(_Entry):
    """`concurrency` is jobs at the provider at once; `requests_per_minute` counts every call to it."""

    label: Label
    prompt_limit: Annotated[int, Field(gt=0, le=2000)]
    concurrency: Annotated[int, Field(gt=0)]
    requests_per_minute: Annotated[int, Field(gt=0)]
    image: ImageRules


def _whole_micros(price: str) -> str:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", price):
        raise ValueError(f'price {price!r} is no amount such as "0.28" (a string, six decimals at most)')
    return price


class Offer(_Entry):
    """What one provider makes in one format, for which modes, at which list price."""

    provider: Slug
    model: Slug
    modes: Annotated[list[Literal["text", "image", "transition"]], Field(min_length=1)]
    duration: Annotated[int, Field(ge=1, le=60)]
    resolution: Resolution
    price: Annotated[str, AfterValidator(_whole_micros)]
    assumed: bool = False
    source: Annotated[str, Field(min_length=1)]
    date: date

    @property
    def micros(self) -> int:
        return micros_of(Decimal(self.price))

    @property
    def format(self) -> Format:
        return Format(model=self.model, duration=self.duration, resolution=self.resolution)


class Catalog(BaseModel):
    """All offers. Made by `load` from a file; refuses what no provider could make."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    cameras: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=30)]], Field(max_length=25)
    ]
    models: dict[Slug, Model]
    providers: dict[Slug, ProviderRules]
    offers: list[Offer]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: set[tuple[str, str, str]] = set()
        for number, offer in enumerate(self.offers):
            problem = self._problem(offer)
            for mode in offer.modes:
                key = (offer.provider, mode, offer.format.id)
                if key in seen:
                    problem = f"{offer.format.id} is offered twice by {offer.provider} for {mode}"
                seen.add(key)
            if problem:
                raise OfferError(number, problem)
        return self

    def _problem(self, offer: Offer) -> str | None:
        if offer.model not in self.models:
            return f"model {offer.model!r} is not in [models]: {', '.join(self.models)}"
        if offer.provider not in self.providers:
            return f"provider {offer.provider!r} is not in [providers]: {', '.join(self.providers)}"
        if offer.resolution == "512p" and offer.modes != ["image"]:
            return '512p needs a first frame and has no last one: modes must be ["image"]'
        return None

    def _in(self, mode: Mode) -> list[Offer]:
        return [offer for offer in self.offers if mode.value in offer.modes]

    def offers_for(self, mode: Mode, chosen: Format, providers: Sequence[str]) -> list[Offer]:
        """Offers of the enabled providers, cheapest first, then in the operator's order."""
        found = [offer for offer in self._in(mode) if offer.format == chosen and offer.provider in providers]
        return sorted(found, key=lambda offer: (offer.micros, providers.index(offer.provider)))

    def menu(self, mode: Mode, providers: Sequence[str]) -> list[Offer]:
        """The best offer of every format that can be made in this mode, in the order shown to members."""
        best: dict[Format, Offer] = {}
        for offer in self._in(mode):
            if offer.provider in providers and offer.format not in best:
                best[offer.format] = self.offers_for(mode, offer.format, providers)[0]
        order = list(self.models)
        return sorted(
            best.values(),
            key=lambda offer: (
                -order.index(offer.model),
                RESOLUTIONS.index(offer.resolution),
                offer.duration,
            ),
        )

    def default(self, mode: Mode, providers: Sequence[str], wished: Format) -> Offer | None:
        """The operator's default where it can be made, else the cheapest 768p, else the cheapest of all."""
        menu = self.menu(mode, providers)
        for offer in menu:
            if offer.format == wished:
                return offer
        return min(menu, key=lambda offer: (offer.resolution != "768p", offer.micros), default=None)

    def cheapest(self, providers: Sequence[str]) -> int | None:
        """The least price of a clip in any mode, in micros; None where no provider makes one."""
        return min((offer.micros for mode in Mode for offer in self.menu(mode, providers)), default=None)

    def label(self, offer: Offer) -> str:
        return f"{self.format_label(offer.format)} · {dollars(offer.micros)}"

    def format_label(self, chosen: Format) -> str:
        return f"{self.model_label(chosen.model)} · {chosen.duration} s · {chosen.resolution}"

    def model_label(self, name: str) -> str:
        """What members call it; a model that has left the catalog keeps its name."""
        model = self.models.get(name)
        return model.label if model else name

    def assumed(self, providers: Iterable[str]) -> list[Offer]:
        """The enabled offers whose price nobody has published."""
        enabled = set(providers)
        return [offer for offer in self.offers if offer.assumed and offer.provider in enabled]


class OfferError(ValueError):
    """An offer that contradicts the rest of the catalog; `number` is its place in the list, from 0."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(problem)
        self.number = number
