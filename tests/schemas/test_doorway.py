import pytest

from spanlore.schemas.doorway import Doorway

OURS = Doorway.at("127.0.0.1", 4318, further=["Spans.example"], origins=["https://app.example"])
EVERYWHERE = Doorway.at("0.0.0.0", 4318)  # noqa: S104 - nothing is bound


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:4318", "LOCALHOST:4318", "[::1]:4318", "spans.example", "spans.example:4318"],
)
def test_its_own_names_are_answered(host: str) -> None:
    assert OURS.refusal(host=host, origin=None, fetch_site=None) == ""
    assert OURS.refusal(host=host, origin=f"https://{host}", fetch_site="same-origin") == ""


@pytest.mark.parametrize(
    "host", [None, "", "evil.example", "evil.example:4318", "127.0.0.1", "127.0.0.1:1", "10.0.0.5"]
)
def test_no_other_name_is_answered_not_even_of_an_allowed_page(host: str | None) -> None:
    for origin in (None, "https://app.example"):
        assert "host" in OURS.refusal(host=host, origin=origin, fetch_site=None)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "http://127.0.0.1:4318.evil", "http://[::1", "file://"],
)
def test_a_strange_page_is_not_answered(origin: str) -> None:
    assert OURS.refusal(host="localhost:4318", origin=origin, fetch_site=None)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "what"])
def test_a_request_that_a_strange_page_caused_without_an_origin_is_not_answered(site: str) -> None:
    assert OURS.refusal(host="localhost:4318", origin=None, fetch_site=site)
    assert not OURS.refusal(host="localhost:4318", origin=None, fetch_site="none")
    allowed = OURS.refusal(host="localhost:4318", origin="https://app.example", fetch_site=site)
    assert allowed == ""


@pytest.mark.parametrize("host", ["10.0.0.5:4318", "10.0.0.5", "[fd00::1]:31000"])
def test_on_every_address_any_address_is_ours_and_no_name_is(host: str) -> None:
    assert EVERYWHERE.refusal(host=host, origin=None, fetch_site=None) == ""
    assert EVERYWHERE.refusal(host=host, origin="http://10.9.9.9:4318", fetch_site=None)
    assert EVERYWHERE.refusal(host="evil.example:4318", origin=None, fetch_site=None)
