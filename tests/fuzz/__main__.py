"""Fuzz the collector's way in: python -m tests.fuzz [options of libFuzzer].

Keeps what reached something new in build/fuzz/corpus and goes on from there the next time; an
input that breaks the door is written to build/fuzz and ends the run. To try one again, name its
file. Needs atheris (`make fuzz` installs it).
"""

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["spanlore.collector", "spanlore.schemas.inflating"]):
    from tests.fuzz.door import Doors
from tests.fuzz.case import HEAD_BYTES, Case
from tests.fuzz.mutation import often_mutated
from tests.fuzz.seeds import cases

FOLDER = Path("build/fuzz")
INPUT_BYTES_MAX = 4 << 10
HANG_S_MAX = 60
RSS_MIB_MAX = 1024
_STRUCTURED = 0.6


def mutate(data: bytes, size_max: int, seed: int) -> bytes:
    """Change an input: its structure, or any of its bytes as libFuzzer does."""
    rng = random.Random(seed)
    case = Case.read(data)
    if rng.random() < _STRUCTURED:
        changes = rng.choice((1, 1, 1, 2, 4))
        case = often_mutated(case, rng, changes=changes, body_bytes_max=size_max)
        return case.write()[:size_max]
    head = case.write()[:HEAD_BYTES]
    return head + bytes(atheris.Mutate(data[HEAD_BYTES:] or b"\0", max(1, size_max - HEAD_BYTES)))


def main() -> None:
    """Fuzz until the runs asked for are done, or the door breaks."""
    corpus = FOLDER / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases()):
        (corpus / f"seed-{number}").write_bytes(case.write())
    doors = Doors()
    options = [
        f"-artifact_prefix={FOLDER}/",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={HANG_S_MAX}",
        f"-rss_limit_mb={RSS_MIB_MAX}",
        "-print_final_stats=1",
    ]
    named = [] if any(Path(word).exists() for word in sys.argv[1:]) else [str(corpus)]
    arguments = [sys.argv[0], *options, *sys.argv[1:], *named]
    atheris.Setup(arguments, doors.take, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
