"""What the engine's parser saw in a statement, read from its ``EXPLAIN AST``. Pure."""

from dataclasses import dataclass
from typing import Final

_FUNCTION: Final = "Function"
_IDENTIFIERS: Final = frozenset({"Identifier", "TableIdentifier"})


@dataclass(frozen=True, slots=True)
class Syntax:
    """The kinds of its parts, its functions in lower case, table functions too, and identifiers.

    An identifier is as the tree shows it, its alias behind it.
    """

    kinds: frozenset[str]
    functions: frozenset[str]
    identifiers: frozenset[str]

    @classmethod
    def read(cls, tree: str) -> "Syntax":
        """Read a tree. A name that breaks its line makes parts of no known kind, and hides none."""
        kinds, functions, identifiers = set(), set(), set()
        for line in tree.splitlines():
            kind, _, name = line.strip().partition(" ")
            if not kind:
                continue
            kinds.add(kind)
            if kind == _FUNCTION:
                functions.add(name.split(" ", 1)[0].lower())
            elif kind in _IDENTIFIERS:
                identifiers.add(name)
        return cls(frozenset(kinds), frozenset(functions), frozenset(identifiers))

    @property
    def names(self) -> frozenset[str]:
        """Give the identifiers without what stands behind them."""
        return frozenset(name.partition(" ")[0] for name in self.identifiers)
