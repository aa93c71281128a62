"""What redaction costs at the door: a scan of every request, a rewrite of one that holds a secret.

``python benchmarks/bench_redaction.py``: CPU microseconds a span and MB/s, the best of several
rounds in one process; the scan by RE2 alone and the check without redaction stand beside it, in the
same rounds.
"""

import sys
import time
from collections.abc import Callable, Sequence

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from corpus import Corpus, agent_corpus, chat_corpus, classic_corpus
from spanlore.collector.check import Limits, check
from spanlore.collector.redaction.redactor import Redactor
from spanlore.collector.redaction.scan import RE2_BYTES_MAX, SecretScan
from spanlore.collector.signals import TRACES

_SEED = 7
_ROUNDS = 9
_LIMITS = Limits(message_bytes_max=64 << 20, records_max=50_000, submessages_max=1_000_000)
_SECRET = "sk-ant-api03-" + "7aB_" * 20
_OWN = {"email": r"[\w.+-]+@[\w-]+\.[\w.-]+"}


def main() -> None:
    """Print the table."""
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000
    secrets, own = Redactor(bytes(32)), Redactor(bytes(32), _OWN)
    by_re2 = SecretScan(re2_bytes_max=sys.maxsize).suspects
    for redactor in (secrets, own):
        redactor.suspects(bytes(RE2_BYTES_MAX))  # a collector's beginning
    agents = agent_corpus(spans, seed=_SEED)
    print(f"{'corpus':28}{'work':32}{'us a span':>10}{'MB/s':>8}")
    chats = chat_corpus(spans // 2, seed=_SEED)
    for corpus in (agents, chats, classic_corpus(spans * 10, seed=_SEED)):
        _line(corpus, "scan for secrets", secrets.suspects)
        _line(corpus, "scan for secrets by RE2 alone", by_re2)
        _line(corpus, "check", _checked(None))
        _line(corpus, "check, redacting", _checked(secrets))
        _line(corpus, "check, redacting e-mail too", _checked(own))
    _line(_planted(agents, every=200), "check, one secret in 200 spans", _checked(secrets))
    _line(_planted(agents, every=1), "check, a secret in each span", _checked(secrets))


def _checked(redactor: Redactor | None) -> Callable[[bytes], object]:
    return lambda body: check(body, TRACES, limits=_LIMITS, redactor=redactor)


def _planted(corpus: Corpus, *, every: int) -> Corpus:
    """Put a secret into the text of every so many spans."""
    requests = []
    for body in corpus.requests:
        request = ExportTraceServiceRequest.FromString(body)
        spans = [s for g in request.resource_spans for c in g.scope_spans for s in c.spans]
        for span in spans[::every]:
            span.attributes.add(key="note").value.string_value = f"the key is {_SECRET}, keep it"
        requests.append(request.SerializeToString())
    return Corpus(corpus.name, requests, corpus.spans)


def _line(corpus: Corpus, name: str, work: Callable[[bytes], object]) -> None:
    seconds = min(_round_s(corpus.requests, work) for _ in range(_ROUNDS))
    size = f"{corpus.name}, {corpus.size_bytes / corpus.spans:,.0f} bytes a span"
    rate = corpus.size_bytes / seconds / 1e6
    print(f"{size:28}{name:32}{seconds / corpus.spans * 1e6:10.2f}{rate:8,.0f}")


def _round_s(requests: Sequence[bytes], work: Callable[[bytes], object]) -> float:
    start = time.process_time()
    for body in requests:
        work(body)
    return time.process_time() - start


if __name__ == "__main__":
    main()
