"""What a traced process was asked for."""

from typing import Any

import pytest

from spanlore.instrumentation import complaint, identity, switch
from spanlore.instrumentation.settings import (
    LOGS,
    TRACES,
    Asked,
    Settings,
    settings,
    settings_here,
)
from spanlore.instrumentation.truth import truth

RUNNING = {"collector": {"grpc_port": 11, "http_port": 12}, "review": {"port": 13}}


def read(
    environment: dict[str, str] | None = None, *, running: Any = None, **asked: Any
) -> Settings:
    return settings(environment or {}, Asked(**asked), run_file=lambda: running)


def urls(found: Settings) -> tuple[str, str, str]:
    return found.targets[TRACES].url, found.targets[LOGS].url, found.delivery_url


def test_without_a_word_it_goes_to_the_default_ports() -> None:
    base = "http://127.0.0.1"
    assert urls(read()) == (
        f"{base}:4318/v1/traces",
        f"{base}:4318/v1/logs",
        f"{base}:4319",
    )


def test_a_spanlore_that_runs_here_is_found() -> None:
    base = "http://127.0.0.1"
    assert urls(read(running=RUNNING)) == (
        f"{base}:12/v1/traces",
        f"{base}:12/v1/logs",
        f"{base}:13",
    )
    grpc = read({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, running=RUNNING)
    assert urls(grpc)[:2] == (f"{base}:11", f"{base}:11")


@pytest.mark.parametrize("note", [{}, {"collector": None}, {"collector": {"http_port": "x"}}])
def test_a_note_that_says_nothing_is_as_none(note: Any) -> None:
    assert urls(read(running=note)) == urls(read())


def test_init_goes_before_spanlores_variable_and_that_before_opentelemetrys() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://third:1"}
    assert urls(read(environment, running=RUNNING))[0] == "http://third:1/v1/traces"
    environment["SPANLORE_ENDPOINT"] = "http://second:2"
    assert urls(read(environment))[0] == "http://second:2/v1/traces"
    assert urls(read(environment, endpoint="http://first:3/"))[0] == "http://first:3/v1/traces"


def test_a_signals_own_variables_are_taken_whole() -> None:
    found = read(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:1/base/",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://own:2/spans",
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20all, x-b = 2",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=Bearer%20own",
        }
    )
    assert urls(found)[:2] == ("http://own:2/spans", "http://all:1/base/v1/logs")
    assert found.targets[TRACES].headers == (("authorization", "Bearer own"),)
    assert found.targets[LOGS].headers == (("authorization", "Bearer all"), ("x-b", "2"))


def test_grpcs_port_says_grpc_where_no_protocol_is_named() -> None:
    assert read({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317"}).is_grpc
    assert not read({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}).is_grpc
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    assert not read(environment).is_grpc


def test_spanlores_endpoint_is_not_spoken_to_as_another_one_is() -> None:
    other = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://elsewhere:443",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=secret",
    }
    found = read({**other, "SPANLORE_ENDPOINT": "http://lore:4318"})
    assert (found.is_grpc, found.targets[TRACES].headers) == (False, ())
    assert read(
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, endpoint="http://lore:4317"
    ).is_grpc
    own = {"SPANLORE_ENDPOINT": "http://lore:1", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=mine"}
    assert read(own).targets[TRACES].headers == (("api-key", "mine"),)


def test_what_is_said_of_traces_alone_goes_before_what_is_said_of_all() -> None:
    general = {"PROTOCOL": "http/protobuf", "COMPRESSION": "none", "TIMEOUT": "1"}
    own = {"PROTOCOL": "grpc", "COMPRESSION": "gzip", "TIMEOUT": "2", "CERTIFICATE": "/ca.pem"}
    found = read(
        {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in general.items()}
        | {f"OTEL_EXPORTER_OTLP_TRACES_{name}": value for name, value in own.items()}
    )
    assert (found.is_grpc, found.is_gzip, found.timeout_s) == (True, True, 2)
    assert found.certificate == "/ca.pem"


@pytest.mark.parametrize(
    "url", ["http://[", "ftp://x", "http://:1", "http://x:port", "http://x:99999"]
)
def test_what_is_no_endpoint_is_a_warning_and_the_default(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert urls(read(endpoint=url)) == urls(read())
    assert url in caplog.text


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 10), ("3", 3), ("x", 10), ("-1", 10), ("1e9", 60)]
)
def test_a_request_may_take_a_bounded_time(text: str, seconds: float) -> None:
    assert read({"OTEL_EXPORTER_OTLP_TIMEOUT": text}).timeout_s == seconds


PRIVATE = ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "http://127.8.8.8:1"]
PUBLIC = ["http://10.0.0.1:1", "http://localhost.example:1", "http://127.0.0.1.example:1"]


@pytest.mark.parametrize("url", PRIVATE + PUBLIC)
def test_content_stays_on_this_machine(url: str) -> None:
    found = read({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert found.captures_content(provider_is_ours=True) == (url in PRIVATE)
    assert not found.captures_content(provider_is_ours=False)
    assert found.instrumentors_mode == ("SPAN_ONLY" if url in PRIVATE else "NO_CONTENT")


def test_one_signal_that_leaves_this_machine_keeps_content_off() -> None:
    assert not read({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://far:1"}).captures_content(
        provider_is_ours=True
    )


def test_content_goes_to_the_collector_that_is_named_as_spanlores() -> None:
    own = {"SPANLORE_ENDPOINT": "https://lore.example"}
    assert read(own).captures_content(provider_is_ours=True)
    assert not read(own, endpoint="https://far.example").captures_content(provider_is_ours=True)


CONTENT_MODE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.mark.parametrize(
    ("environment", "asked", "captured", "mode"),
    [
        ({"SPANLORE_CAPTURE_CONTENT": "true"}, None, True, "SPAN_ONLY"),
        ({"SPANLORE_CAPTURE_CONTENT": "false"}, None, False, "NO_CONTENT"),
        ({"SPANLORE_CAPTURE_CONTENT": "perhaps"}, None, False, "NO_CONTENT"),
        ({"SPANLORE_CAPTURE_CONTENT": "true"}, False, False, "NO_CONTENT"),
        ({CONTENT_MODE: "span_only"}, None, True, None),
        ({CONTENT_MODE: "EVENT_ONLY"}, None, False, None),
        ({CONTENT_MODE: "NO_CONTENT"}, True, True, "SPAN_ONLY"),
        ({CONTENT_MODE: "SPAN_ONLY", "SPANLORE_CAPTURE_CONTENT": "no"}, None, False, "NO_CONTENT"),
    ],
)
def test_what_was_said_of_content_decides_wherever_it_goes(
    environment: dict[str, str], asked: bool | None, captured: bool, mode: str | None
) -> None:
    found = read(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://far:1", **environment}, capture_content=asked
    )
    assert found.captures_content(provider_is_ours=False) == captured
    assert found.instrumentors_mode == mode


def test_headers_and_the_like_do_not_show_in_what_is_printed() -> None:
    assert "secret" not in repr(read({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret"}))


@pytest.mark.parametrize("word", ["true", "1", "YES", " on "])
@pytest.mark.parametrize("unclear", [True, False])
def test_every_variable_that_says_yes_or_no_says_it_in_the_same_words(
    word: str, *, unclear: bool, caplog: pytest.LogCaptureFixture
) -> None:
    opposite = {"true": "false", "1": "0", "YES": "No", " on ": " off "}[word]
    assert truth({"A": word}, "A", unclear=unclear) is True
    assert truth({"A": opposite}, "A", unclear=unclear) is False
    assert truth({"A": " "}, "A", unclear=unclear) is None
    assert truth({}, "A", unclear=unclear) is None
    assert not caplog.text


def test_a_word_that_is_neither_is_said_once_and_counts_as_documented(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(complaint, "_said", set())
    names = ("SPANLORE_JOURNAL", "SPANLORE_DISABLED", "SPANLORE_READ_BAGGAGE")
    for name in names:
        monkeypatch.setenv(name, "perhaps")
    identity.reads_baggage.cache_clear()
    try:
        for _ in range(2):
            assert settings_here(Asked()).keeps_journal
            assert not switch.is_disabled()
            assert not identity.reads_baggage()
    finally:
        identity.reads_baggage.cache_clear()
    for name, taken in zip(names, ("true", "false", "false"), strict=True):
        assert caplog.text.count(f"{name} is neither true nor false; taken as {taken}") == 1


@pytest.mark.parametrize(
    ("environment", "is_off"),
    [
        ({"SPANLORE_DISABLED": "1"}, True),
        ({"SPANLORE_DISABLED": "off"}, False),
        ({"OTEL_SDK_DISABLED": "True"}, True),
        ({"OTEL_SDK_DISABLED": "1"}, False),
    ],
)
def test_nothing_is_traced_where_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *, is_off: bool
) -> None:
    for name in ("SPANLORE_DISABLED", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert switch.is_disabled() is is_off
