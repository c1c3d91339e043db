"""What providers' errors say alike, once for all of them: each ends in the database, and is told later by `said`.

`provider` is its label; `said` is what it says itself, cleaned.
"""

from bot.domain.language import kept

NO_JOB_ID = kept("This is no job id of a provider.")


def refused(provider: str, said: str) -> str:
    return kept("{provider} refused the request ({said}).", provider=provider, said=said)


def unmade(provider: str, format_id: str) -> str:
    return kept("{provider} does not make {format}.", provider=provider, format=format_id)


def needs_first_frame(provider: str, format_id: str) -> str:
    return kept("{provider} makes {format} only from a first frame.", provider=provider, format=format_id)


def takes_no_last_frame(provider: str, model: str) -> str:
    return kept("{provider} takes no last frame for {model}.", provider=provider, model=model)


def last_frame_alone(provider: str) -> str:
    return kept("{provider} takes a last frame only beside a first one.", provider=provider)


def unknown_job(provider: str, said: str) -> str:
    return kept("{provider} does not know this job ({said}).", provider=provider, said=said)


def another_job(provider: str) -> str:
    return kept("{provider} answered about another job.", provider=provider)


def no_clip(provider: str) -> str:
    return kept("{provider} says the job succeeded, but names no clip.", provider=provider)


def wait(provider: str, said: str) -> str:
    return kept("{provider} asks us to wait ({said}).", provider=provider, said=said)


def unusable(provider: str, why: str) -> str:
    return kept("{provider} gave no usable answer ({why}).", provider=provider, why=why)


def unusable_to_paid(provider: str, why: str) -> str:
    return kept("{provider} gave no usable answer to a paid request ({why}).", provider=provider, why=why)


def account_closed(provider: str, said: str, fix: str) -> str:
    """`fix` is a sentence on what the operator can do."""
    return kept(
        "{provider} does nothing for this account ({said}). {fix}", provider=provider, said=said, fix=fix
    )


def new_key(provider: str, setting: str) -> str:
    return kept("Make a new key at {provider} and put it in {setting}.", provider=provider, setting=setting)


def top_up(provider: str) -> str:
    return kept("Top up the balance at {provider}.", provider=provider)
