"""Every provider on the network and its stand-in. A new one adds one line to `CASES`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.providers.base import Hosted
from bot.providers.gmi import Gmi
from bot.providers.mindvideo import MindVideo
from bot.providers.minimax import MiniMax
from bot.providers.novita import Novita
from bot.providers.runware import Runware
from tests.providers.gmi_standin import GmiStandIn
from tests.providers.kit import NOW
from tests.providers.mindvideo_standin import MindVideoStandIn
from tests.providers.minimax_standin import MiniMaxStandIn
from tests.providers.novita_standin import NovitaStandIn
from tests.providers.runware_standin import RunwareStandIn
from tests.providers.standin import StandIn


@dataclass(frozen=True)
class Case:
    """`text` and `framed` are formats it makes of words, and of a picture as data; None where it takes none.

    `reads` is the method of a status read, `nobody` an id that no job has. `keyed`: the same key and bytes again show
    the job that there is.
    """

    standin: Callable[..., StandIn]
    provider: Callable[..., Hosted]
    text: str = "hailuo-02/6/768p"
    framed: str | None = "hailuo-02/6/768p"
    reads: str = "GET"
    nobody: str = "17"
    keyed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


_CLOCK = {"clock": lambda: NOW}
_UUID = "11111111-1111-4111-8111-111111111111"

CASES = {
    "mindvideo": Case(
        MindVideoStandIn, MindVideo, text="hailuo-02/5/768p", framed="hailuo-02/5/768p", keyed=True
    ),
    "gmi": Case(GmiStandIn, Gmi, framed=None),
    "novita": Case(NovitaStandIn, Novita, framed="hailuo-2.3/6/768p", settings=_CLOCK),
    "runware": Case(RunwareStandIn, Runware, reads="POST", nobody=_UUID, settings=_CLOCK),
    "minimax": Case(MiniMaxStandIn, MiniMax, settings=_CLOCK),
}
