"""Every error a member or the operator may read, in one tree.

BotError
├── Refusal                what a member asked cannot be done; nothing was held, nothing called
│   ├── PictureRefused     an attachment is no usable picture
│   │   └── WrongShape     it is too wide or too narrow, and could be cropped or padded
│   └── OverLimit          a money limit stands in the way
├── StorageError           the database could not do it; nothing was changed
├── StaleTask              the task was no longer in the state it was believed in
├── NotAVideo              the file is no playable video
├── DeliveryError          Discord did not take the message; try again later
│   ├── NobodyThere        neither the channel nor the member can be reached
│   └── TooLarge           Discord takes no file of this size there; nothing was posted
├── SetupError             the bot cannot start like this; says what to do
│   └── AlreadyRunning     another process holds the database
└── ProviderError
    ├── ProviderBusy       certainly nothing was accepted or read; try again later
    ├── OutcomeUnknown     a paid call whose answer was lost: neither success nor failure
    ├── JobRejected        definitely not accepted, and never will be like this
    │   └── ContentRefused the provider's content rules
    ├── ProviderClosed     key, balance or rights: the operator's to mend
    └── JobNotFound        the provider does not know this job
"""

from bot.domain.catalog import Offer
from bot.domain.language import tr
from bot.domain.prose import together
from bot.domain.shapes import Reshaped


class BotError(Exception):
    """`str(error)` is a sentence for the person it concerns: what was found, what is allowed, what to do."""


class Refusal(BotError):
    pass


class PictureRefused(Refusal):
    pass


class WrongShape(PictureRefused):
    """`found` is what was found and what is allowed, without what to do.

    `pictures` are those of the whole order in shapes that fit, where they were made; `offer` is what it asks for.
    """

    def __init__(self, found: str, pictures: tuple[Reshaped, ...] = (), offer: Offer | None = None) -> None:
        crop = tr("Crop it and attach that.")
        super().__init__(together(found, crop))
        self.found = found
        self.pictures = pictures
        self.offer = offer


class OverLimit(Refusal):
    pass


class StorageError(BotError):
    pass


class Unreadable(BotError):
    """What is stored is sealed with a key that is not here, or damaged: trying again is of no use."""


class StaleTask(BotError):
    pass


class NotAVideo(BotError):
    pass


class DeliveryError(BotError):
    pass


class NobodyThere(DeliveryError):
    pass


class TooLarge(DeliveryError):
    def __init__(self, text: str, *, limit: int) -> None:
        super().__init__(text)
        #: Bytes that may be tried next.
        self.limit = limit


class SetupError(BotError):
    pass


class AlreadyRunning(SetupError):
    pass


class ProviderError(BotError):
    pass


class ProviderBusy(ProviderError):
    def __init__(self, text: str, *, retry_after: float | None = None) -> None:
        super().__init__(text)
        #: Seconds the provider asked us to wait, already bounded; None where it named none.
        self.retry_after = retry_after


class OutcomeUnknown(ProviderError):
    pass


class JobRejected(ProviderError):
    pass


class ContentRefused(JobRejected):
    pass


class ProviderClosed(ProviderError):
    pass


class JobNotFound(ProviderError):
    pass
