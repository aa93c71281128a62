from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

import pytest

from spanlore.review import exposures
from spanlore.review.exposures import Exposure, ExposureQueue, first_exposures
from spanlore.schemas.learning_tables import EXPOSURES
from spanlore.schemas.semconv import ARM_EXPOSED, ARM_HELD_OUT
from spanlore.schemas.store import Store, StoreUnreachable
from tests.waiting import wait_until

AT = datetime(2024, 5, 1, tzinfo=UTC)
DRAIN_S = 20.0


def exposure(number: int, *, lesson_id: str = "m1", arm: str = ARM_EXPOSED) -> Exposure:
    return Exposure(
        tenant="acme",
        user="ann",
        trace_id=f"{number:032x}",
        lesson_id=lesson_id,
        version=3,
        arm=arm,
        at=AT.replace(microsecond=number),
    )


def told_to(told: list[Mapping[str, str]]) -> Callable[[Mapping[str, str]], None]:
    return told.append


def stored(store: Store) -> int:
    [row] = store.query(f"SELECT uniqExact(TraceId) AS n FROM {EXPOSURES}")
    return int(row["n"])


def test_exposures_are_written_and_then_told(store: Store, store_url: str) -> None:
    told: list[Mapping[str, str]] = []
    queue = ExposureQueue(partial(Store.connect, store_url), on_exposed=told_to(told))
    queue.start()
    queue.put([exposure(1), exposure(2, lesson_id="m2", arm=ARM_HELD_OUT)])
    wait_until(lambda: queue.counts() == {"waiting": 0, "written": 2, "dropped": 0})
    queue.stop(drain_s_max=DRAIN_S)
    queue.stop(drain_s_max=DRAIN_S)
    assert told == [{"m1": f"{1:032x}"}]
    assert first_exposures(store, {"m1": 3, "m2": 3, "m3": 1}) == {"m1": f"{1:032x}"}
    assert first_exposures(store, {}) == {}


def test_the_first_exposure_is_the_earliest_run(store: Store) -> None:
    store.insert(EXPOSURES, [exposure(number).row() for number in (7, 3, 9)])
    assert first_exposures(store, {"m1": 3}) == {"m1": f"{3:032x}"}


def test_a_store_that_is_away_for_a_while_gets_every_exposure(
    store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposures, "_AGAIN_S", 0.01)
    tries = []

    def connect() -> Store:
        tries.append(1)
        if len(tries) < 5:
            raise StoreUnreachable("not yet")
        return Store.connect(store_url)

    queue = ExposureQueue(connect, on_exposed=lambda _: None)
    queue.start()
    queue.put(exposure(number) for number in range(100))
    wait_until(lambda: queue.counts()["written"] == 100)
    queue.stop(drain_s_max=DRAIN_S)
    assert stored(store) == 100


def test_what_waits_is_written_before_the_end(store: Store, store_url: str) -> None:
    queue = ExposureQueue(partial(Store.connect, store_url), on_exposed=lambda _: None)
    queue.start()
    queue.put(exposure(number) for number in range(5_000))
    queue.stop(drain_s_max=DRAIN_S)
    assert stored(store) == 5_000


def test_a_full_queue_counts_what_it_drops_and_a_store_that_stays_away_does_not_hold_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exposures, "_QUEUED_MAX", 10)

    def away() -> Store:
        raise StoreUnreachable("away")

    queue = ExposureQueue(away, on_exposed=lambda _: None)
    queue.start()
    queue.put(exposure(number) for number in range(15))
    assert queue.counts() == {"waiting": 10, "written": 0, "dropped": 5}
    queue.stop(drain_s_max=0.3)
    assert queue.counts()["waiting"] == 10
