"""What each user ended with for one slot, session by session: the earlier half, and the later.

A session is one look, however many runs it holds. What was discovered on the earlier half stays on
it when more sessions follow, so that a later evaluation never scores runs that a finding was made
of (``user_halves`` says the same of the choices of one user).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spanlore.analyzers.core.cells import Codes, Flags
from spanlore.analyzers.core.effective_counts import Floats
from spanlore.analyzers.preferences.choice_columns import digest
from spanlore.analyzers.preferences.preference_counts import SlotCounts

Looks = tuple[float, float]  # sessions, and those that ended with the value


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSessions:
    """A user's looks at the value they most often ended with in the earlier half.

    ``value`` is its number among the slot's values, ``looks`` are those of both halves. ``runs``
    are all that say something of the value, ``runs_ended`` those that ended with it, in so many
    sessions.
    """

    owner: tuple[str, str]
    value: int
    looks: tuple[Looks, Looks]
    runs: int
    runs_ended: int
    sessions_ended: int

    @property
    def all_looks(self) -> Looks:
        """The looks of both halves together."""
        return self.looks[0][0] + self.looks[1][0], self.looks[0][1] + self.looks[1][1]


def user_sessions(counts: SlotCounts, *, sessions_min: int) -> Iterator[UserSessions]:
    """Yield the users with enough sessions, in the order of their names."""
    choices, users = counts.choices, len(counts.choices.users)
    # Rows are in the order runs started, so that a session's first row is its beginning.
    _, first, session = np.unique(choices.session, return_index=True, return_inverse=True)
    owner = choices.user[first]
    earlier = _earlier_half(owner, first)[session]
    ended = np.zeros((users, len(counts.values)))
    for value, text in enumerate(counts.values):
        rows = earlier & choices.overridden & choices.ended_with(text)
        ended[:, value] = np.bincount(choices.user[rows], minlength=users)
    likely = ended.argmax(axis=1)
    wanted = np.array([digest(text) for text in counts.values], dtype=np.int64)[likely]
    looks = choices.overridden | (choices.proposed != wanted[choices.user])
    hits = looks & (choices.final == wanted[choices.user])
    n = np.bincount(session[looks], minlength=len(first))
    k = np.bincount(session[hits], minlength=len(first))
    share = np.divide(k, n, out=np.zeros(len(n)), where=n > 0)
    seen, early = n > 0, _earlier_half(owner, first)
    halves = [
        (_by_user(owner, seen & half, users), _by_user(owner, half, users, shares=share))
        for half in (early, ~early)
    ]
    runs, runs_ended = (np.bincount(choices.user[rows], minlength=users) for rows in (looks, hits))
    sessions_ended = _by_user(owner, k > 0, users)
    sessions = np.bincount(owner, minlength=users)
    for name, user in sorted((name, user) for user, name in enumerate(choices.users)):
        if sessions[user] < sessions_min:
            continue
        yield UserSessions(
            owner=name,
            value=int(likely[user]),
            looks=(_looks(halves[0], user), _looks(halves[1], user)),
            runs=int(runs[user]),
            runs_ended=int(runs_ended[user]),
            sessions_ended=int(sessions_ended[user]),
        )


def _earlier_half(owner: Codes, first: Codes) -> Flags:
    """Return which sessions are of their user's earlier half; the one in the middle is."""
    order = np.lexsort((first, owner))
    _, begins, sizes = np.unique(owner[order], return_index=True, return_counts=True)
    place = np.arange(len(owner)) - np.repeat(begins, sizes)
    early = np.empty(len(owner), dtype=np.bool_)
    early[order] = place < np.repeat((sizes + 1) // 2, sizes)
    return early


def _by_user(owner: Codes, sessions: Flags, users: int, *, shares: Floats | None = None) -> Floats:
    """Add up sessions, or their shares, by user."""
    weights = None if shares is None else shares[sessions]
    return np.bincount(owner[sessions], weights, users).astype(np.float64)


def _looks(half: tuple[Floats, Floats], user: int) -> Looks:
    return float(half[0][user]), float(half[1][user])
