"""The two halves of one user's runs: the earlier sessions, and the later ones.

What was discovered on the earlier half stays on it when more sessions follow, so that a later
evaluation never scores runs that the finding was made of.
"""

from collections.abc import Sequence

from spanlore.analyzers.preferences.slot_choices import SlotChoice


def session_of(choice: SlotChoice) -> str:
    """Return the session of a choice, else its run: what looks alike among a user's runs."""
    return choice.session or choice.trace_id


def user_halves(choices: Sequence[SlotChoice]) -> tuple[list[SlotChoice], list[SlotChoice]]:
    """Split the choices of one user and slot by session: (the earlier half, the later half)."""
    began: dict[str, tuple[int, str]] = {}
    for choice in choices:
        session = session_of(choice)
        start = (choice.start_ns, session)
        began[session] = min(began.get(session, start), start)
    ordered = sorted(began, key=lambda session: began[session])
    earlier = set(ordered[: (len(ordered) + 1) // 2])
    return (
        [choice for choice in choices if session_of(choice) in earlier],
        [choice for choice in choices if session_of(choice) not in earlier],
    )
