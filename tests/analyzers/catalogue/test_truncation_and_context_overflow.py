"""Answers cut off and requests too long: in the words of providers, and found where planted."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from spanlore.analyzers.catalogue import truncation_and_context_overflow as analyzer
from spanlore.analyzers.extraction import extract_pending
from spanlore.analyzers.runs.context_limits import is_cut, too_long, window_tokens
from spanlore.analyzers.runs.run_trace import ModelCall, RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from tests.analyzers import traced
from tests.analyzers.traced import asked, called, run
from tests.loaded_runs import load_lines

SEEDS = pytest.mark.parametrize("seed", range(3))


@pytest.mark.parametrize(
    ("error_type", "said"),
    [
        ("context_length_exceeded", ""),
        ("BadRequestError", "This model's maximum context length is 8192 tokens. However, you"),
        ("invalid_request_error", "prompt is too long: 211034 tokens > 200000 maximum"),
        ("BadRequestError", "input length and `max_tokens` exceed context limit: 19 + 9 > 20"),
        ("400", "The input token count (1050001) exceeds the maximum number of tokens allowed"),
        ("ValueError", "The decoder prompt (length 9000) is longer than the maximum model length"),
        ("litellm.ContextWindowExceededError", ""),
        ("ValidationException", "Input is too long for requested model."),
    ],
)
def test_providers_say_in_these_words_that_a_request_is_too_long(
    error_type: str, said: str
) -> None:
    assert too_long(asked(error=(error_type, said)))


@pytest.mark.parametrize(
    "said",
    ["", "Rate limit reached: 30000 tokens per min", "max_tokens must be at least 1", "timeout"],
)
def test_other_errors_are_not_about_length(said: str) -> None:
    assert not too_long(asked(error=("BadRequestError", said)))


@pytest.mark.parametrize(
    "result",
    [
        "a, b, c ... [truncated 5000 characters]",
        "line 1\nline 2\n[... 120 more lines ...]",
        "<response clipped>",
        "Output truncated. Use offset to read on.",
        "rows…(truncated)",
        "log\n... output truncated ...\nend",
        "x" * 5_000 + "\n[Content truncated due to length]",
    ],
)
def test_results_that_say_they_were_cut_are_recognised(result: str) -> None:
    assert is_cut(result)


@pytest.mark.parametrize(
    "result",
    [
        "",
        '{"status": "ok", "truncated": false}',
        "The function truncated(x) rounds down. It is used here.",
        "please do not omit anything",
    ],
)
def test_results_that_only_hold_the_word_are_whole(result: str) -> None:
    assert not is_cut(result)


def test_windows_are_known_by_whole_names() -> None:
    assert window_tokens("azure/gpt-4o-2024-11-20") == 128_000
    assert window_tokens("ft:gpt-4.1-2025-04-14:acme:x:1") == 1_047_576
    assert window_tokens("gpt-4") is None
    assert window_tokens("gpt-5.9") is None
    assert window_tokens("my-own-model") is None


def test_a_run_says_what_was_cut_off_and_what_was_looked_at() -> None:
    model_calls = [
        asked(model="gpt-4o", finish=["stop"], tokens=(119_000, 10)),
        asked(model="gpt-4o", finish=["length"], tokens=(100, 64)),
        asked(model="local", max_tokens=50, tokens=(10, 50)),
        asked(model="quiet"),
    ]
    calls = [called("read", said="abc\n[truncated]"), called("look")]
    found = traced.facts(analyzer, run(model_calls=model_calls, calls=calls))
    assert found == {
        "cut_off|gpt-4o": (1, 1, 64.0),
        "too_long|gpt-4o": (1, 0, 0.0),
        "near_window|gpt-4o": (1, 1, 119_000.0),
        "cut_off|local": (1, 1, 50.0),
        "too_long|local": (1, 0, 0.0),
        "too_long|quiet": (1, 0, 0.0),
        "cut_result|read": (1, 1, 0.0),
        "cut_result|look": (1, 0, 0.0),
        "run|cut_off": (1, 1, 114.0),
        "run|near_window": (1, 1, 119_000.0),
        "run|cut_result": (1, 1, 0.0),
    }


@pytest.mark.parametrize("reason", ["max_tokens", "FinishReason.MAX_TOKENS", "LENGTH"])
def test_reasons_are_read_in_every_providers_writing(reason: str) -> None:
    found = traced.facts(analyzer, run(model_calls=[asked(finish=[reason])]))
    assert found["cut_off|m-1"] == (1, 1, 10.0)


def cut_runs(seed: int, *, rate: float, harm: float, runs: int = 400) -> list[RunTrace]:
    random = Random(seed)
    made = []
    for number in range(runs):
        cut = random.random() < rate
        fails = random.random() < 0.3 + harm * cut
        calls: list[ModelCall] = [asked(finish=["length" if cut else "stop"])]
        made.append(run(number, model_calls=calls, outcome="fail" if fails else "pass"))
    return made


def told(store: Store, runs: Sequence[RunTrace]) -> set[str]:
    return {
        f"{one.detail['kind']} {one.detail['pattern']}"
        for one in traced.confirmed(store, analyzer, runs)
    }


@SEEDS
def test_planted_truncation_that_does_harm_is_found_with_it(store: Store, seed: int) -> None:
    assert told(store, cut_runs(seed, rate=0.3, harm=0.6)) == {"rate cut_off", "outcome cut_off"}


@SEEDS
def test_truncation_without_harm_is_found_without_it(store: Store, seed: int) -> None:
    assert told(store, cut_runs(seed, rate=0.3, harm=0.0)) == {"rate cut_off"}


@SEEDS
def test_where_next_to_nothing_is_cut_nothing_is_found(store: Store, seed: int) -> None:
    assert told(store, cut_runs(seed, rate=0.005, harm=0.0)) == set()


def test_results_cut_off_are_found_in_runs_read_from_a_store(store: Store, tmp_path: Path) -> None:
    runs = [
        run(
            number,
            calls=[called("read", {"n": number}, said="a\n[truncated]" if number % 3 else "a")],
        )
        for number in range(120)
    ]
    load_lines(store, tmp_path, traced.lines(runs))
    extract_pending(store, Window())
    [found] = [one for one in traced.findings(store, analyzer) if one.confirmed]
    assert found.title == "what read returns is cut off before the model reads it"
    assert (found.n, found.k) == (120, 80)
