import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spanlore.collector.load import Loader
from spanlore.collector.log import Entry
from spanlore.collector.signals import LOGS, METRICS, SIGNALS, TRACES
from spanlore.schemas.store import StoreUnreachable
from tests.collector.log_cases import OpenLog, entry, files, open_log
from tests.collector.memory_store import MemoryStore
from tests.collector.otlp_requests import logs, metrics, new_ids, traces
from tests.waiting import wait_until

WAIT_S = 30


@contextmanager
def loading(
    opened: OpenLog, store: MemoryStore, path: Path, **hooks: Callable[..., None]
) -> Iterator[Loader]:
    loader = Loader(
        opened.log,
        lambda: store,
        quarantine_dir=path / "quarantine",
        counters=opened.counters,
        on_loaded=hooks.get("on_loaded", lambda *_: None),
        on_idle=hooks.get("on_idle", lambda: None),
    )
    loader.start()
    try:
        yield loader
    finally:
        loader.stop()


def flush(opened: OpenLog) -> None:
    assert opened.log.wait_loaded(opened.log.seal().result(WAIT_S), WAIT_S)


def counted(opened: OpenLog) -> dict[str, int]:
    spans: dict[str, int] = opened.counters.snapshot()["spans"]
    assert spans["accepted"] + spans["rejected"] + spans["quarantined"] == spans["received"]
    return spans


def stored_ids(store: MemoryStore) -> list[tuple[bytes, bytes]]:
    return [(span.trace_id, span.span_id) for span in store.spans()]


def test_a_loaded_segment_is_stored_once_and_its_file_goes(tmp_path: Path) -> None:
    store, ids = MemoryStore(), new_ids(4)
    loaded: list[Any] = []
    with (
        open_log(tmp_path) as opened,
        loading(opened, store, tmp_path, on_loaded=lambda *seqs: loaded.append(seqs)),
    ):
        opened.log.append(entry(ids[:2]))
        opened.log.append(entry(ids[2:]))
        flush(opened)
        assert files(tmp_path) == []
    assert stored_ids(store) == ids
    assert loaded == [(opened.log.log_id, 1, 2)]
    assert store.tokens == [f"{opened.log.log_id:08x}-0000000000000001"]
    assert counted(opened)["stored"] == 4


def test_while_the_store_is_down_everything_is_kept_and_then_loaded_in_order(
    tmp_path: Path,
) -> None:
    store, ids = MemoryStore(), new_ids(10)
    store.down = True
    with (
        open_log(tmp_path, segment_bytes_target=1, segment_bytes_max=1) as opened,
        loading(opened, store, tmp_path) as loader,
    ):
        for pair in ids:
            opened.log.append(entry([pair])).result(WAIT_S)
        wait_until(lambda: store.tries > 1)
        assert loader.last_error == "down"
        assert len(files(tmp_path)) == 10
        store.down = False
        flush(opened)
        assert loader.last_error is None
    assert stored_ids(store) == ids


def test_poison_is_found_by_halving_and_only_it_goes_to_quarantine(tmp_path: Path) -> None:
    store, ids = MemoryStore(), new_ids(9)
    store.is_poison = lambda found: found.seq in (3, 8)
    with open_log(tmp_path) as opened:
        for pair in ids:
            opened.log.append(entry([pair])).result(WAIT_S)
        with loading(opened, store, tmp_path):
            flush(opened)
        assert files(tmp_path) == []
    assert stored_ids(store) == [pair for at, pair in enumerate(ids, 1) if at not in (3, 8)]
    kept = sorted((tmp_path / "quarantine").glob("*.pb"))
    assert [int(path.stem.rsplit("-", 1)[1], 16) for path in kept] == [3, 8]
    assert ids[2][0] in kept[0].read_bytes()
    assert json.loads(kept[0].with_suffix(".json").read_text())["reason"] == "poison"
    assert counted(opened) == {
        "received": 9, "accepted": 7, "rejected": 0, "quarantined": 2, "stored": 7,
    }  # fmt: skip


def test_poison_in_every_form_is_set_aside_as_it_came(tmp_path: Path) -> None:
    store, unknown_group = MemoryStore(), b"\x93\x03\x94\x03"
    store.is_poison = lambda _: True
    odd = replace(entry(1), body=entry(1).body + unknown_group)
    with open_log(tmp_path) as opened:
        opened.log.append(odd).result(WAIT_S)
        with loading(opened, store, tmp_path):
            flush(opened)
    (kept,) = (tmp_path / "quarantine").glob("*.pb")
    assert kept.read_bytes().endswith(odd.body)
    assert counted(opened)["quarantined"] == 1


def test_halving_that_is_cut_short_does_the_same_again_and_stores_nothing_twice(
    tmp_path: Path,
) -> None:
    store, ids = MemoryStore(), new_ids(8)
    store.is_poison = lambda found: found.seq == 8
    insert = store.insert_segment
    failed: list[str] = []

    def fail_once(path: Path, *, token: str, into: Sequence[str]) -> None:
        if store.tries == 4 and not failed:
            failed.append(token)
            raise StoreUnreachable("gone for a moment")
        insert(path, token=token, into=into)

    store.insert_segment = fail_once  # type: ignore[method-assign]
    with open_log(tmp_path) as opened:
        for pair in ids:
            opened.log.append(entry([pair])).result(WAIT_S)
        with loading(opened, store, tmp_path):
            flush(opened)
    assert failed
    assert sorted(stored_ids(store)) == sorted(ids[:7])
    assert counted(opened)["quarantined"] == 1


def test_poison_of_one_signal_leaves_the_others_of_its_segment_as_they_were_stored(
    tmp_path: Path,
) -> None:
    store, ids = MemoryStore(), new_ids(2)
    store.is_poison = lambda found: found.signal is LOGS and found.seq == 3
    bodies = [(TRACES, traces(ids)), (LOGS, logs(2)), (LOGS, logs(3)), (METRICS, metrics(range(4)))]
    with open_log(tmp_path) as opened:
        for signal, request in bodies:
            opened.log.append(
                Entry(
                    signal=signal,
                    body=request.SerializeToString(),
                    items=signal.count(request),
                    received_ns=1,
                )
            ).result(WAIT_S)
        with loading(opened, store, tmp_path):
            flush(opened)
    assert [found.seq for found in store.records] == [1, 2, 4]
    (aside,) = (tmp_path / "quarantine").glob("*.pb")
    assert int(aside.stem.rsplit("-", 1)[1], 16) == 3
    counts = opened.counters.snapshot()
    assert [counts[signal.name]["stored"] for signal in SIGNALS] == [2, 2, 4]
    assert counts["logs"]["quarantined"] == 3


def test_a_store_that_refuses_everything_makes_no_record_poison(tmp_path: Path) -> None:
    store, ids = MemoryStore(), new_ids(4)
    store.refuses_all = True
    with open_log(tmp_path) as opened, loading(opened, store, tmp_path) as loader:
        opened.log.append(entry(ids)).result(WAIT_S)
        wait_until(lambda: "refuses every insert" in (loader.last_error or ""))
        store.refuses_all = False
        flush(opened)
    assert stored_ids(store) == ids
    assert not (tmp_path / "quarantine").exists()


def test_a_store_that_says_yes_and_keeps_nothing_is_found_out(tmp_path: Path) -> None:
    store, ids = MemoryStore(), new_ids(4)
    store.forgets = 2
    with open_log(tmp_path) as opened, loading(opened, store, tmp_path):
        opened.log.append(entry(ids)).result(WAIT_S)
        flush(opened)
    assert stored_ids(store) == ids
    assert counted(opened)["stored"] == 4


def test_a_segment_that_never_shows_up_in_the_store_is_set_aside_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    store, ids = MemoryStore(), new_ids(2)
    store.forgets = 5
    with open_log(tmp_path, segment_bytes_target=1, segment_bytes_max=1) as opened:
        for pair in ids:
            opened.log.append(entry([pair])).result(WAIT_S)
        with loading(opened, store, tmp_path):
            flush(opened)
    assert stored_ids(store) == ids[1:]
    assert counted(opened)["quarantined"] == 1
    assert len(list((tmp_path / "quarantine").glob("*.pb"))) == 1


def test_the_same_span_twice_in_a_segment_counts_as_stored(tmp_path: Path) -> None:
    store, ids = MemoryStore(), new_ids(3)
    insert = store.insert_segment

    def fold(path: Path, *, token: str, into: Sequence[str]) -> None:
        insert(path, token=token, into=into)
        store.records = store.records[-1:]

    store.insert_segment = fold  # type: ignore[method-assign]
    with open_log(tmp_path) as opened:
        opened.log.append(entry(ids))
        opened.log.append(entry(ids)).result(WAIT_S)
        with loading(opened, store, tmp_path):
            flush(opened)
    assert counted(opened)["stored"] == 6


def test_rows_that_could_not_be_sealed_are_told_of_again(tmp_path: Path) -> None:
    calls: list[Any] = []

    def on_loaded(*seqs: int) -> None:
        calls.append(seqs)
        if len(calls) == 1:
            raise StoreUnreachable("busy")

    store = MemoryStore()
    with (
        open_log(tmp_path) as opened,
        loading(opened, store, tmp_path, on_loaded=on_loaded),
    ):
        opened.log.append(entry()).result(WAIT_S)
        flush(opened)
    assert calls == [(opened.log.log_id, 1, 1)] * 2
    assert store.tries == 1


def test_what_a_failed_write_left_behind_is_cut_off_before_loading(tmp_path: Path) -> None:
    store, ids = MemoryStore(), new_ids(2)
    with open_log(tmp_path) as opened:
        opened.log.append(entry(ids)).result(WAIT_S)
        opened.log.seal().result(WAIT_S)
        with files(tmp_path)[0].open("ab") as file:
            file.write(b"half a record")
        with loading(opened, store, tmp_path):
            flush(opened)
    assert stored_ids(store) == ids


def test_a_segment_damaged_after_it_was_written_is_set_aside_whole(tmp_path: Path) -> None:
    store, ids = MemoryStore(), new_ids(2)
    with open_log(tmp_path, segment_bytes_target=1, segment_bytes_max=1) as opened:
        for pair in ids:
            opened.log.append(entry([pair])).result(WAIT_S)
        damaged = files(tmp_path)[0]
        data = bytearray(damaged.read_bytes())
        data[-20] ^= 1
        damaged.write_bytes(data)
        with loading(opened, store, tmp_path):
            flush(opened)
    assert stored_ids(store) == ids[1:]
    assert counted(opened)["quarantined"] == 1
    (aside,) = (tmp_path / "quarantine").glob("*.pb")
    assert aside.read_bytes() == bytes(data)


@pytest.mark.parametrize("starts", [1, 3])
def test_what_one_process_left_the_next_loads(tmp_path: Path, starts: int) -> None:
    store, ids = MemoryStore(), new_ids(starts)
    for pair in ids:
        with open_log(tmp_path) as opened:
            opened.log.append(entry([pair])).result(WAIT_S)
    with open_log(tmp_path) as opened, loading(opened, store, tmp_path):
        flush(opened)
    assert stored_ids(store) == ids
