"""Whatever the built-in catalog offers is made, paid as charged, and delivered."""

import pytest

from bot.domain.catalog import Mode, Offer
from bot.providers.registry import PROVIDERS
from bot.settings import PAID
from tests.providers.cases import CASES
from tests.routing.bench import CATALOG
from tests.routing.conftest import Open

OFFERS = [
    pytest.param(offer, Mode(mode), id=f"{offer.provider}-{offer.format.id}-{mode}")
    for offer in CATALOG.offers
    if offer.provider in CASES
    for mode in offer.modes
]


def test_every_paid_provider_is_in_the_table() -> None:
    assert set(CASES) == set(PROVIDERS) - {"sandbox"} == set(PAID)
    assert {offer.provider for offer in CATALOG.offers} == set(PROVIDERS)


@pytest.mark.parametrize(("offer", "mode"), OFFERS)
async def test_an_offer_is_made_and_delivered(
    offer: Offer, mode: Mode, open_one: Open, request: pytest.FixtureRequest
) -> None:
    if offer != CATALOG.menu(mode, [offer.provider])[0]:
        request.getfixturevalue("quick_probe")  # one clip of each provider and mode is decoded
    bench = await open_one(offer.provider)
    task = await bench.ask(offer.format.id, mode, camera="Pan left")
    assert (task.price_micros, task.list_micros) == (offer.micros, offer.micros)
    await bench.until_rest(task)
    await bench.is_delivered(task)
