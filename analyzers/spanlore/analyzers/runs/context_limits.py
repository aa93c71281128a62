"""What tells that a text was cut off, or did not fit: windows of models, words of providers."""

import re
from typing import Final

from spanlore.analyzers.runs.run_trace import ModelCall

# Finish reasons that say "cut off": OpenAI and vLLM, Anthropic, Google, Bedrock and Cohere.
CUT_OFF_REASONS: Final = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"}
)

# Tokens that a model reads and writes in one call at most, from the providers' public model pages;
# only where one number holds for all that go by the name. A model matches when its name, without
# a provider before it, starts with the key and goes on with "-" or ":" if at all; the longest key
# wins.
WINDOW_TOKENS: Final = {
    "claude-3": 200_000,
    "claude-haiku-4": 200_000,
    "gemini-1.5-flash": 1_048_576,
    "gemini-2.0-flash": 1_048_576,
    "gemini-2.5-flash": 1_048_576,
    "gemini-2.5-pro": 1_048_576,
    "gpt-4-turbo": 128_000,
    "gpt-4.1": 1_047_576,
    "gpt-4o": 128_000,
    "gpt-5": 400_000,
    "gpt-5-chat": 128_000,
    "gpt-oss": 131_072,
    "o1": 200_000,
    "o1-mini": 128_000,
    "o1-preview": 128_000,
    "o3": 200_000,
    "o4-mini": 200_000,
}

# Providers' errors for a request that is longer than the window (lower case, type and text).
_TOO_LONG = re.compile(
    r"context_length_exceeded|context[_ ]window[_ ]?exceeded|contextwindowexceeded"
    r"|maximum (?:context|model) length|max_model_len|maximum input length"  # OpenAI, litellm, vLLM
    r"|prompt is too long|exceeds? the (?:model'?s )?(?:maximum )?context"  # Anthropic
    r"|input length and `?max_tokens`? exceed"
    r"|input token count.{0,40}exceeds the maximum"  # Google
    r"|(?:request|input|prompt)(?: is)? too (?:large|long) for (?:the )?(?:requested )?model"
    r"|input is too long for requested model|too many (?:input )?tokens",  # Bedrock
)

# What tools and harnesses put where they cut a result; at the end, or on a line of its own.
_CUT_MARK = re.compile(
    r"(?:\[|<|\(|\.\.\.\s*|…\s*)(?:\w+[ _]){0,3}(?:truncated|clipped|omitted)\b"
    r"[^\n]{0,80}[\])>.…]*\s*$"
    r"|^\W*(?:output|result|response|content|file|text|log)s? (?:was |were |is |has been )?"
    r"(?:truncated|clipped)\b"
    r"|\[\.\.\. ?\d+ (?:more )?(?:characters|lines|bytes|tokens)[^\n]{0,40}\]",
    re.IGNORECASE | re.MULTILINE,
)
_MARK_CHARS = 2_000


def cut_off(call: ModelCall) -> bool | None:
    """Whether a model call's output was cut off; None where nothing says how it ended."""
    if call.finish_reasons:
        return any(_plain(reason) in CUT_OFF_REASONS for reason in call.finish_reasons)
    if call.max_tokens and call.output_tokens is not None:
        return call.output_tokens >= call.max_tokens
    return None


def too_long(call: ModelCall) -> bool:
    """Whether a model call failed because what it was given did not fit."""
    if not (call.error_type or call.status_message):
        return False
    said = f"{call.error_type} {call.status_message[:_MARK_CHARS]}".lower()
    return _TOO_LONG.search(said) is not None


def window_tokens(model: str) -> int | None:
    """Return how many tokens a model takes at most, None where it is not known."""
    name = model.lower().rsplit("/", 1)[-1].removeprefix("ft:")
    fitting = [key for key in WINDOW_TOKENS if _begins(name, key)]
    return WINDOW_TOKENS[max(fitting, key=len)] if fitting else None


def is_cut(result: str) -> bool:
    """Whether a tool's result says at its begin or end that something of it was left out."""
    ends = result if len(result) <= 2 * _MARK_CHARS else _both_ends(result)
    return _CUT_MARK.search(ends) is not None


def _both_ends(text: str) -> str:
    return f"{text[:_MARK_CHARS]}\n{text[-_MARK_CHARS:]}"


def _plain(reason: str) -> str:
    """Return the last word of a reason: ``FinishReason.MAX_TOKENS`` is ``max_tokens``."""
    return reason.lower().rsplit(".", 1)[-1]


def _begins(name: str, key: str) -> bool:
    return name == key or name.startswith((f"{key}-", f"{key}:"))
