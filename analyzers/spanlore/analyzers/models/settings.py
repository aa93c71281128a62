"""Which model the user configured, read from the environment.

``SPANLORE_MODEL_PROVIDER`` is openai (any OpenAI-compatible server) or anthropic,
``SPANLORE_MODEL`` the model's name there, ``SPANLORE_MODEL_API_KEY`` the user's own key and
``SPANLORE_MODEL_BASE_URL`` another server than the provider's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from spanlore.schemas.loopback import is_loopback

PROVIDER = "SPANLORE_MODEL_PROVIDER"
MODEL = "SPANLORE_MODEL"
BASE_URL = "SPANLORE_MODEL_BASE_URL"
API_KEY = "SPANLORE_MODEL_API_KEY"

DEFAULT_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
}
# What a server of one's own machine is sent, which asks for no key; the SDKs want one.
_NO_KEY = "none"


class BadModelSettings(ValueError):
    """The environment names a model by halves, or one that cannot be; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """A model that can be asked. ``api_key`` is never shown, also not by ``repr``.

    ``timeout_s`` bounds one try, ``retries_max`` how many more there are after a failure that
    may pass (each after a pause of seconds, or as long as the server asks, at most two minutes).
    """

    provider: str
    model: str
    base_url: str
    api_key: str = field(repr=False)
    timeout_s: float = 60.0
    retries_max: int = 2

    @property
    def identity(self) -> str:
        """Who answers: what a cached answer is an answer of."""
        return f"{self.provider} {self.base_url} {self.model}"

    @property
    def is_on_this_machine(self) -> bool:
        """Whether no proxy is to be asked on the way."""
        return is_loopback(urlsplit(self.base_url).hostname or "")


def model_settings(environment: Mapping[str, str]) -> ModelSettings | None:
    """Read the settings; None where no model is configured. Raises BadModelSettings."""
    provider, model = environment.get(PROVIDER, ""), environment.get(MODEL, "")
    if not (provider or model):
        return None
    if provider not in DEFAULT_URLS:
        raise BadModelSettings(
            f"{PROVIDER} is {provider!r}; set it to one of {', '.join(DEFAULT_URLS)}"
        )
    if not model:
        raise BadModelSettings(f"{MODEL} is not set; name the model to ask")
    url = environment.get(BASE_URL) or DEFAULT_URLS[provider]
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadModelSettings(f"{BASE_URL} is {url!r}; write for example http://127.0.0.1:8000/v1")
    if parts.username is not None:
        raise BadModelSettings(f"{BASE_URL} holds a login; give the key in {API_KEY} alone")
    settings = ModelSettings(
        provider=provider,
        model=model,
        base_url=url.rstrip("/"),
        api_key=environment.get(API_KEY) or _NO_KEY,
    )
    if settings.api_key == _NO_KEY and not settings.is_on_this_machine:
        raise BadModelSettings(f"{API_KEY} is not set; {url} is asked with your own key")
    return settings
