"""Learn once from the store at a URL, and print what it took: a process of its own for its peak."""

import json
import os
import resource
import sys
import time

from spanlore.analyzers.extraction import WORKERS_MAX, extract_pending
from spanlore.analyzers.job import learn
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store


def main() -> None:
    """Extract, then count, without writing a lesson."""
    with Store.connect(sys.argv[1]) as store:
        begun = time.perf_counter()
        extract_pending(store, Window())
        extracted = time.perf_counter()
        report = learn(store)
        counted = time.perf_counter()
    mine, theirs = (
        resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    workers = min(os.cpu_count() or 1, WORKERS_MAX) * theirs.ru_maxrss
    said = {
        "extracting_s": extracted - begun,
        "counting_s": counted - extracted,
        "cpu_s": sum(one.ru_utime + one.ru_stime for one in (mine, theirs)),
        "learner_peak_bytes": (mine.ru_maxrss + workers) * 1024,
        "findings": len(report.findings),
        "failed": len(report.failed),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
