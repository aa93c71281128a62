"""Why the door does not do what was asked: a status, and a sentence with the next step."""

from http import HTTPStatus

__all__ = ["Refused", "bad_request", "conflict", "not_found", "unavailable"]


class Refused(Exception):
    """A request is not done; ``status`` says whether it may be done later or otherwise."""

    def __init__(self, status: HTTPStatus, message: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def bad_request(message: str) -> Refused:
    """The request is wrong as it is."""
    return Refused(HTTPStatus.BAD_REQUEST, message)


def not_found(message: str) -> Refused:
    """There is no such thing."""
    return Refused(HTTPStatus.NOT_FOUND, message)


def conflict(message: str) -> Refused:
    """It may not be done as things stand."""
    return Refused(HTTPStatus.CONFLICT, message)


def unavailable(message: str) -> Refused:
    """Nothing is wrong with the request; it cannot be done now."""
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, message, (b"retry-after", b"1"))
