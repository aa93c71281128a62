"""How one who reads rows alone tells our store that an answer without rows may be just that.

To name the columns of such an answer takes the engine as long as the question did, since it has to
be asked a second time. A ClickHouse server does not know the header and names them.
"""

from typing import Final

__all__ = ["BARE", "EMPTY_ANSWER"]

EMPTY_ANSWER: Final = "X-Spanlore-Empty-Answer"
BARE: Final = "bare"
