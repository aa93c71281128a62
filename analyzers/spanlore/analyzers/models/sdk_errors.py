"""What the official SDKs raise, as the three things that can go wrong.

Both SDKs are made by one generator: their errors have the same names.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from spanlore.analyzers.models.question import ModelRefused, ModelUnreachable
from spanlore.analyzers.models.settings import ModelSettings

_MESSAGE_CHARACTERS_MAX = 300
_CONFLICT, _TIMEOUT, _TOO_MANY, _SERVER_ERROR = 409, 408, 429, 500


@contextmanager
def translated(sdk: ModuleType, settings: ModelSettings) -> Iterator[None]:
    """Turn an SDK's errors into ModelUnreachable and ModelRefused, without the user's key."""
    where = f"{settings.model} at {settings.base_url}"
    tries = settings.retries_max + 1
    try:
        yield
    except sdk.APITimeoutError as error:
        raise ModelUnreachable(
            f"{where} did not answer within {settings.timeout_s:g} s, {tries} times over"
        ) from error
    except sdk.APIConnectionError as error:
        raise ModelUnreachable(
            f"cannot reach {where}: {_said(error.__cause__, settings)}"
        ) from error
    except sdk.APIStatusError as error:
        status, said = error.status_code, _said(error, settings)
        if status in (_CONFLICT, _TIMEOUT, _TOO_MANY) or status >= _SERVER_ERROR:
            raise ModelUnreachable(
                f"{where} answered {status}, {tries} times over: {said}"
            ) from error
        raise ModelRefused(f"{where} refused with {status}: {said}") from error
    except (sdk.APIError, json.JSONDecodeError) as error:
        raise ModelUnreachable(
            f"{where} answered with what is no reply of such a server: {_said(error, settings)}"
        ) from error


def not_a_reply(settings: ModelSettings) -> ModelUnreachable:
    """Return the error for a body that is not what the API says it is."""
    where = f"{settings.model} at {settings.base_url}"
    return ModelUnreachable(
        f"{where} answered with what is no reply of such a server; is its base URL right?"
    )


def unknown_wish(said: str, wishes: dict[str, object]) -> str | None:
    """Return which optional parameter a server says it does not take, None where none is named."""
    return next((name for name in wishes if name in said), None)


def _said(error: BaseException | None, settings: ModelSettings) -> str:
    """Return an error's text on one line; servers quote the key they were sent."""
    text = " ".join(str(error).split()).replace(settings.api_key, "***")
    return text[:_MESSAGE_CHARACTERS_MAX]
