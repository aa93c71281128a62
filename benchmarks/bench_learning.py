"""What the analyzers can be believed: one table.

Every section makes its own worlds, whose truth is known, or reads the recorded runs, and can be
run alone: ``python benchmarks/bench_learning.py --only planted shuffles --quick``. A thousand
shuffles, five million spans and every world with several seeds take more than an hour; ``--quick``
takes minutes and says less.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from learning import sections, table
from learning.sections import Asked
from learning.table import Row

_BESIDE = Path(__file__).resolve().parents[1].parent / "shared" / "data"
SECTIONS: Mapping[str, Callable[[Asked], Iterator[Row]]] = {
    "planted": sections.planted_rows,
    "shuffles": sections.shuffle_rows,
    "preferences": sections.preference_rows,
    "poisoned": sections.poisoned_rows,
    "judges": sections.judge_rows,
    "scale": sections.scale_rows,
    "recorded": sections.recorded_rows,
}


def main() -> None:
    """Print one table, line by line; what was missed or wrong goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--only", nargs="+", choices=tuple(SECTIONS), default=tuple(SECTIONS))
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--rounds", type=int, help="of shuffles; 1,000, or 50 when quick")
    parser.add_argument("--data", type=Path, help="the folder of recorded runs")
    options = parser.parse_args()
    data = options.data or Path(os.environ.get("SPANLORE_TEST_DATA", _BESIDE))
    asked = Asked(
        quick=options.quick,
        seed=options.seed,
        data=data if data.is_dir() else None,
        rounds=options.rounds or (50 if options.quick else 1000),
        say=_say,
    )
    for line in table.head():
        print(line)
    for name in options.only:
        for line in table.lines(SECTIONS[name](asked)):
            print(line, flush=True)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
