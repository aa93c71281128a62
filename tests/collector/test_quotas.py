"""What a tenant may send a second: the balances by an injected clock, the answers by real doors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from spanlore.collector.counters import Counters
from spanlore.collector.quotas import BURST_S, Quotas, TenantBudget
from spanlore.collector.refusal import RETRY_AFTER_S_MAX, RETRY_AFTER_S_MIN, Refused
from spanlore.schemas.tokens import INGEST, create_token
from tests.collector.collector_process import CollectorProcess
from tests.collector.conftest import NOWHERE
from tests.collector.otlp_requests import traces


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def is_admitted(quotas: Quotas, tenant: str) -> bool:
    try:
        quotas.admit(tenant)
    except Refused as refused:
        return not RETRY_AFTER_S_MIN <= (refused.retry_after_s or 0) <= RETRY_AFTER_S_MAX
    return True


@pytest.mark.parametrize(
    "budget", [TenantBudget(records_per_s_max=10), TenantBudget(bytes_per_s_max=10)], ids=str
)
def test_over_a_long_time_a_tenant_sends_its_budget_and_no_more(budget: TenantBudget) -> None:
    clock, counters = Clock(), Counters()
    quotas = Quotas(budget, counters, clock_s=clock)
    sent, seconds, request = 0, 200, 37
    refused = 0
    for _ in range(seconds * 4):
        clock.now_s += 0.25
        if is_admitted(quotas, "acme"):
            quotas.charge("acme", records=request, size=request)
            sent += request
        else:
            refused += 1
        assert is_admitted(quotas, "quiet")
    assert 10 * seconds <= sent <= 10 * (seconds + BURST_S) + request
    assert counters.snapshot()["over_quota"] == {"acme": refused}


def test_a_request_larger_than_all_that_is_ever_left_passes_and_is_paid_off() -> None:
    clock = Clock()
    quotas = Quotas(TenantBudget(bytes_per_s_max=10), Counters(), clock_s=clock)
    assert is_admitted(quotas, "acme")
    quotas.charge("acme", records=1, size=1000)
    clock.now_s += (1000 - 10 * BURST_S) / 10 - 0.1
    assert not is_admitted(quotas, "acme")
    clock.now_s += 0.2
    assert is_admitted(quotas, "acme")


def test_without_a_budget_or_a_tenant_nobody_is_held_back() -> None:
    for quotas, tenant in (
        (Quotas(TenantBudget(), Counters()), "acme"),
        (Quotas(TenantBudget(records_per_s_max=1), Counters()), ""),
    ):
        quotas.charge(tenant, records=1_000_000, size=1_000_000)
        assert is_admitted(quotas, tenant)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[CollectorProcess]:
    with CollectorProcess(tmp_path / "data", NOWHERE, "--tenant-records-per-s", "1") as process:
        yield process
        assert process.stop() == 0


def test_a_tenant_over_its_budget_is_told_when_to_come_back_and_others_go_on(
    limited: CollectorProcess,
) -> None:
    acme, other = (
        f"Bearer {create_token(limited.data_dir, tenant=tenant, scopes=[INGEST])[1]}"
        for tenant in ("acme", "other")
    )
    assert limited.post(traces(1000), authorization=acme).status_code == 200
    refused = limited.post(traces(1), authorization=acme)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= RETRY_AFTER_S_MAX
    said = status_pb2.Status.FromString(refused.content)
    assert said.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    retry_info = error_details_pb2.RetryInfo()
    assert said.details[0].Unpack(retry_info)
    assert 1 <= retry_info.retry_delay.seconds <= RETRY_AFTER_S_MAX
    with pytest.raises(grpc.RpcError) as error:
        limited.export(traces(1), metadata=(("authorization", acme),))
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailers: Any = error.value.trailing_metadata()
    # The stock Python exporter reads the one, the specification names the other.
    assert {"google.rpc.retryinfo-bin", "grpc-status-details-bin"} <= {one.key for one in trailers}
    assert limited.post(traces(1), authorization=other).status_code == 200
    assert limited.post(traces(1)).status_code == 200
    found = limited.status()
    assert (found["over_quota"], found["refused"]) == ({"acme": 2}, {"quota": 2})
    assert found["spans"]["received"] == 1002
