"""What the engine's parser saw in a statement, read from its ``EXPLAIN AST``. Pure."""

from dataclasses import dataclass
from typing import Final

_FUNCTION: Final = "Function"
_EXPLAIN: Final = "Explain"
_IDENTIFIERS: Final = frozenset({"Identifier", "TableIdentifier"})


@dataclass(frozen=True, slots=True)
class Syntax:
    """The kinds of its parts, its functions in lower case, table functions too, and identifiers.

    An identifier is as the tree shows it, its alias behind it. What is explained is named by the
    words of that, such as EXPLAIN AST.
    """

    kinds: frozenset[str]
    functions: frozenset[str]
    identifiers: frozenset[str]
    explains: frozenset[str] = frozenset()

    @classmethod
    def read(cls, tree: str) -> "Syntax":
        """Read a tree. A name that breaks its line makes parts of no known kind, and hides none."""
        kinds, functions, identifiers, explains = set(), set(), set(), set()
        for line in tree.splitlines():
            kind, _, name = line.strip().partition(" ")
            if not kind:
                continue
            kinds.add(kind)
            if kind == _FUNCTION:
                functions.add(name.split(" ", 1)[0].lower())
            elif kind in _IDENTIFIERS:
                identifiers.add(name)
            elif kind == _EXPLAIN:
                explains.add(name.partition(" (")[0])
        return cls(*map(frozenset, (kinds, functions, identifiers, explains)))

    @property
    def names(self) -> frozenset[str]:
        """Give the identifiers without what stands behind them."""
        return frozenset(name.partition(" ")[0] for name in self.identifiers)
