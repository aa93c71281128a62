import pytest

from spanlore.instrumentation.tool_call import _flat


class Odd:
    """Equal to nothing that can be said yes or no to, as an array is."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        message = "which element is meant?"
        raise ValueError(message)


@pytest.mark.parametrize(
    ("given", "kwargs", "flat"),
    [
        ({"title": "a"}, {"title": "a"}, {"title": "a"}),
        ({"self": 1, "more": {"title": "a"}}, {"title": "a"}, {"self": 1, "title": "a"}),
        ({"body": {"title": "a"}}, {"body": {"title": "a"}}, {"body": {"title": "a"}}),
        ({"arguments": {}}, {}, {"arguments": {}}),
    ],
)
def test_arguments_that_kwargs_took_are_recorded_as_they_were_sent(
    given: dict[str, object], kwargs: dict[str, object], flat: dict[str, object]
) -> None:
    assert _flat(given, kwargs) == flat


def test_arguments_that_cannot_be_compared_are_recorded_too() -> None:
    odd = Odd()
    flat = _flat({"array": odd, "more": {"title": odd}}, {"title": odd})
    assert list(flat) == ["array", "title"]
    assert flat["title"] is odd
