from pathlib import Path

import pytest

from spanlore.collector.config import Config, ConfigError
from spanlore.collector.forwarding.target import Target, TargetError, read_targets


def read(url: str, **environment: str) -> Target:
    (target,) = read_targets(
        [url], {f"SPANLORE_FORWARD_{name}": value for name, value in environment.items()}
    )
    return target


@pytest.mark.parametrize(
    ("url", "protocol", "is_tls", "port", "path"),
    [
        ("grpc://tempo", "grpc", False, 4317, ""),
        ("grpcs://tempo:443", "grpc", True, 443, ""),
        ("http://tempo", "http/protobuf", False, 4318, ""),
        ("http://tempo:4317", "grpc", False, 4317, ""),
        ("https://tempo", "http/protobuf", True, 443, ""),
        ("https://tempo:4317/", "grpc", True, 4317, ""),
        ("https://tempo/otlp/", "http/protobuf", True, 443, "/otlp"),
        ("http://[::1]:4317/otlp", "http/protobuf", False, 4317, "/otlp"),
    ],
)
def test_scheme_port_and_path_say_which_protocol_is_spoken(
    url: str, protocol: str, is_tls: bool, port: int, path: str
) -> None:
    target = read(url)
    assert (target.protocol, target.is_tls, target.port, target.path) == (
        protocol, is_tls, port, path,
    )  # fmt: skip


def test_the_environment_speaks_to_all_and_louder_to_one_by_its_name() -> None:
    environment = {
        "SPANLORE_FORWARD_HEADERS": "authorization=Bearer%20all",
        "SPANLORE_FORWARD_MY_TEMPO_HEADERS": "authorization=Bearer%20one,x-scope-orgid=me",
        "SPANLORE_FORWARD_MY_TEMPO_PROTOCOL": "grpc",
        "SPANLORE_FORWARD_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20other",
    }
    one, other = read_targets(["My-Tempo=http://a:9", "http://b:9"], environment)
    assert (one.name, one.url) == ("my-tempo", "http://a:9")
    assert one.headers == {"authorization": "Bearer one", "x-scope-orgid": "me"}
    assert (one.protocol, one.is_compressed) == ("grpc", False)
    assert (other.name, other.protocol) == ("b-9", "http/protobuf")
    assert other.headers == {"authorization": "Bearer all"}


@pytest.mark.parametrize(
    ("url", "environment", "said"),
    [
        ("tempo:4317", {}, "give grpc://"),
        ("ftp://tempo", {}, "give grpc://"),
        ("http://", {}, "a host"),
        ("http://tempo:99999", {}, "no URL"),
        ("http://me:secret@tempo", {}, "SPANLORE_FORWARD_HEADERS"),
        ("http://tempo?token=secret", {}, "SPANLORE_FORWARD_HEADERS"),
        ("grpc://tempo/otlp", {}, "has a path"),
        ("a=http://tempo", {"A_PROTOCOL": "http/json"}, "grpc or http/protobuf"),
        ("a=http://tempo", {"COMPRESSION": "zstd"}, "gzip or none"),
        ("a=http://tempo", {"HEADERS": "a=secret%0Ab"}, "the header 'a' cannot be sent"),
        ("a=http://tempo", {"CERTIFICATE": "/no/file"}, "no file /no/file"),
        ("a=http://tempo", {"CLIENT_KEY": __file__}, "SPANLORE_FORWARD_A_CLIENT_CERTIFICATE"),
    ],
)
def test_what_cannot_work_is_refused_with_the_next_step_and_no_secret(
    url: str, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(TargetError, match=said) as refused:
        read(url, **environment)
    assert "secret" not in str(refused.value)


def test_two_targets_of_one_name_are_refused() -> None:
    with pytest.raises(TargetError, match="two forwarding targets are named a"):
        read_targets(["a=http://x", "a=http://y"], {})


@pytest.mark.parametrize("url", ["http://127.0.0.1:4318", "grpc://localhost:4317"])
def test_a_collector_that_would_forward_to_itself_does_not_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="this collector itself"):
        Config(data_dir=tmp_path, token="x", forward=(read(url),))


def test_a_queue_too_small_for_one_file_of_the_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few: give at least 67108864"):
        Config(data_dir=tmp_path, token="x", forward=(read("http://a"),), forward_bytes_max=1 << 20)
