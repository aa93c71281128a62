"""The SETTINGS at the end of a reader's query, taken out of it: they are as those of the URL.

The engine takes none within a query of one who only reads, not even those that may be lowered.
"""

import re
from dataclasses import replace
from typing import Final

from spanlore.store_server.statement import Statement
from spanlore.store_server.tokens import outer_tokens

# Nothing here is tried twice: a reader may send a megabyte of spaces.
_ONE: Final = r"[A-Za-z_]\w*+\s*+=\s*+(?:'[^'\\]*+'|-?\w[\w.]*+)"
# Whatever else stands there stays, and the engine refuses it.
_CLAUSE = re.compile(
    rf"SETTINGS\s++(?P<all>{_ONE}(?:\s*+,\s*+{_ONE})*+)"
    r"(?P<rest>\s*+(?:FORMAT\s++\w++\s*+)?+;?\s*+)",
    re.IGNORECASE | re.ASCII,
)
_PAIR = re.compile(r"(?P<name>\w+)\s*=\s*(?:'(?P<text>[^']*)'|(?P<word>[-\w.]+))", re.ASCII)


def lifted(statement: Statement) -> Statement:
    """Give the statement with the settings that end its query as settings of its request."""
    places = [token.start for token in outer_tokens(statement.sql) if token.is_word("SETTINGS")]
    clause = _CLAUSE.fullmatch(statement.sql, places[-1]) if places else None
    if clause is None:
        return statement
    own = {
        pair["name"]: pair["word"] if pair["text"] is None else pair["text"]
        for pair in _PAIR.finditer(clause["all"])
    }
    around = replace(statement.around, settings={**statement.around.settings, **own})
    sql = statement.sql[: places[-1]] + clause["rest"]
    return replace(statement, sql=sql, around=around)
