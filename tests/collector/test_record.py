import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanlore.collector import record
from spanlore.collector.record import BadRecordError, Record
from spanlore.collector.signals import SIGNALS, Signal

RECORDS = st.lists(
    st.tuples(
        st.binary(max_size=300),
        st.sampled_from(SIGNALS),
        st.text(max_size=20),
        st.integers(0, 2**64 - 1),
    ),
    min_size=1,
    max_size=5,
)


def frames(items: list[tuple[bytes, Signal, str, int]], log_id: int = 7) -> list[bytes]:
    return [
        record.encode(body, signal, tenant=tenant, received_ns=received_ns, seq=seq, log_id=log_id)
        + body
        for seq, (body, signal, tenant, received_ns) in enumerate(items, 1)
    ]


@given(RECORDS)
def test_records_read_back_as_they_were_written(
    items: list[tuple[bytes, Signal, str, int]],
) -> None:
    found = list(record.read(b"".join(frames(items))))
    assert [(r.body, r.signal, r.tenant, r.received_ns) for r in found] == items
    assert [r.seq for r in found] == list(range(1, len(items) + 1))
    assert {r.log_id for r in found} == {7}


@given(RECORDS, st.data())
def test_a_flipped_bit_is_never_read_as_a_record(
    items: list[tuple[bytes, Signal, str, int]], data: st.DataObject
) -> None:
    written = frames(items)
    whole = bytearray(b"".join(written))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    hit = next(n for n in range(len(written)) if sum(map(len, written[: n + 1])) > at)
    found: list[Record] = []
    with pytest.raises(BadRecordError) as bad:
        found.extend(record.read(bytes(whole)))
    assert bad.value.offset == sum(map(len, written[:hit]))
    if hit + 1 < len(written):
        assert not bad.value.torn


@given(RECORDS, st.data())
def test_a_write_that_was_cut_short_is_torn_not_damaged(
    items: list[tuple[bytes, Signal, str, int]], data: st.DataObject
) -> None:
    written = frames(items)
    before = b"".join(written[:-1])
    cut = data.draw(st.integers(1, len(written[-1]) - 1))
    with pytest.raises(BadRecordError) as bad:
        list(record.read(before + written[-1][:cut]))
    assert bad.value.torn
    assert bad.value.offset == len(before)


@given(st.binary(min_size=1, max_size=500))
def test_any_bytes_end_as_records_or_as_an_error(data: bytes) -> None:
    offset = 0
    with contextlib.suppress(BadRecordError):
        for found in record.read(data):
            assert found.start == offset
            offset = found.end


def test_a_tail_of_zeros_is_torn() -> None:
    whole = b"".join(frames([(b"body", SIGNALS[0], "", 1)]))
    with pytest.raises(BadRecordError) as bad:
        list(record.read(whole + bytes(4096)))
    assert bad.value.torn
