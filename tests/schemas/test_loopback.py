import pytest

from spanlore.schemas.loopback import is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "::1", "[::1]"]
)
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "192.168.0.1", "10.0.0.1", "localhost.example", "::", "127.0.0.1.example"]
)
def test_everything_else_may_be_another(host: str) -> None:
    assert not is_loopback(host)
