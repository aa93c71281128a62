from pathlib import Path

from spanlore.collector import record
from spanlore.collector.erase_quarantined import ErasedFiles, erase_quarantined
from spanlore.collector.quarantine import quarantine
from spanlore.collector.signals import TRACES
from tests.collector.otlp_requests import new_ids, traces

USER, TENANT = "ann", "acme"
MINE, OTHERS = new_ids(2)


def framed(seq: int, ids: tuple[bytes, bytes], *, user: str = "", tenant: str = "") -> bytes:
    request = traces([ids])
    if user:
        [span] = request.resource_spans[0].scope_spans[0].spans
        span.attributes.add(key="user.id").value.string_value = user
    body = request.SerializeToString()
    head = record.encode(body, TRACES, tenant=tenant, received_ns=1, seq=seq, log_id=1)
    return head + body


def erased(directory: Path) -> ErasedFiles:
    return erase_quarantined(directory, user=USER, tenant=TENANT, trace_ids={MINE[0].hex()})


def seqs(path: Path) -> list[int]:
    return [one.seq for one in record.read(path.read_bytes())]


def test_records_of_a_user_go_and_those_of_others_stay(tmp_path: Path) -> None:
    mixed = [
        framed(1, OTHERS, user=USER),
        framed(2, MINE),  # a part of their trace that does not name them
        framed(3, OTHERS, user="anna"),
        framed(4, OTHERS, user=USER, tenant="hooli"),
        framed(5, OTHERS, user=USER, tenant=TENANT),
    ]
    quarantine(tmp_path, "mixed", data=b"".join(mixed), reason="refused")
    quarantine(tmp_path, "theirs", data=framed(6, MINE), reason="refused")
    quarantine(tmp_path, "others", data=framed(7, OTHERS), reason="refused")
    assert erased(tmp_path) == ErasedFiles(records=4, unread=())
    assert seqs(tmp_path / "mixed.pb") == [3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mixed.json",
        "mixed.pb",
        "others.json",
        "others.pb",
    ]
    assert erased(tmp_path) == ErasedFiles(records=0, unread=())


def test_a_damaged_file_that_names_the_user_is_told_of(tmp_path: Path) -> None:
    quarantine(tmp_path, "damaged", data=framed(1, MINE)[:-1] + b"\xff", reason="damaged")
    assert erased(tmp_path) == ErasedFiles(records=0, unread=(tmp_path / "damaged.pb",))


def test_where_nothing_was_ever_quarantined_nothing_is_erased(tmp_path: Path) -> None:
    assert erased(tmp_path / "none") == ErasedFiles(records=0, unread=())
