"""The queue of readers: in order, bounded in length and in time, left by who goes away."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from spanlore.store_server.errors import TOO_MANY_QUERIES, ClientGoneError, QueryError
from spanlore.store_server.places import Places, PlacesMax

WAIT_S = 30


async def stays() -> dict[str, Any]:
    """Be a client that waits for its answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def goes() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def few(*, wait_s: float = WAIT_S) -> Places:
    return Places(PlacesMax(queries=2, readers=1, readers_waiting=2, wait_s=wait_s))


def test_readers_get_their_turns_in_the_order_of_asking_and_one_more_is_refused() -> None:
    async def ask() -> list[int]:
        places, order, may_end = few(), list[int](), asyncio.Event()

        async def read(number: int) -> None:
            with places.taken(reads=True):
                async with places.turn(stays):
                    order.append(number)
                    await may_end.wait()

        reading = [asyncio.create_task(read(number)) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(QueryError) as refused, places.taken(reads=True):
            pass
        assert (refused.value.code, refused.value.name) == TOO_MANY_QUERIES
        may_end.set()
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*reading)
            await places.idle.wait()
        return order

    assert asyncio.run(ask()) == [0, 1, 2]


def test_who_waits_too_long_is_refused_and_who_goes_away_leaves_the_queue() -> None:
    async def ask() -> None:
        places = few(wait_s=0.05)
        async with places.turn(stays):
            with pytest.raises(QueryError, match="waited for 0 s"):
                async with places.turn(stays):
                    raise AssertionError
            with pytest.raises(ClientGoneError):
                async with places.turn(goes):
                    raise AssertionError
        async with places.turn(stays):
            pass

    asyncio.run(ask())


def test_readers_that_wait_take_no_place_of_others() -> None:
    async def ask() -> None:
        places = few()
        reading = [places.taken(reads=True) for _ in range(3)]
        with reading[0], reading[1], reading[2], places.taken(reads=False):
            assert not places.idle.is_set()
            with pytest.raises(QueryError), places.taken(reads=False):
                pass
        assert places.idle.is_set()

    asyncio.run(ask())


def test_the_document_says_how_many_may_read_and_wait() -> None:
    most = PlacesMax()
    document = (Path(__file__).parents[2] / "collector" / "docs" / "access.md").read_text()
    assert f"{most.readers} queries of readers run at once" in document
    assert f"{most.readers_waiting} more wait" in document
    assert f"for {most.wait_s:.0f} s at most" in document
