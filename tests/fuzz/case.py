"""One input of the fuzzer: a head of two bytes that says how the rest comes to the door."""

from dataclasses import dataclass
from typing import Final

from spanlore.collector.signals import SIGNALS
from spanlore.schemas.inflating import INFLATERS

HEAD_BYTES: Final = 2
PACKINGS: Final = ("", *sorted(INFLATERS))
_JSON, _TIGHT = 1, 2
_PACKING_SHIFT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request: the number of its signal, its format, its Content-Encoding and its body.

    ``is_tight`` puts it to a door with limits that a small request can reach.
    """

    signal: int
    is_json: bool
    body: bytes
    is_tight: bool = False
    packing: str = ""

    @classmethod
    def read(cls, data: bytes) -> "Case":
        """Read an input; any bytes are one."""
        first, second = data[:HEAD_BYTES].ljust(HEAD_BYTES, b"\0")
        return cls(
            signal=first % len(SIGNALS),
            is_json=bool(second & _JSON),
            is_tight=bool(second & _TIGHT),
            packing=PACKINGS[(second >> _PACKING_SHIFT) % len(PACKINGS)],
            body=data[HEAD_BYTES:],
        )

    def write(self) -> bytes:
        """Give the input that reads as this case."""
        packing = PACKINGS.index(self.packing) << _PACKING_SHIFT
        return bytes((self.signal, packing | _JSON * self.is_json | _TIGHT * self.is_tight)) + (
            self.body
        )
