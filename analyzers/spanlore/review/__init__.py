"""The human's desk and the delivery door on :4319.

What lies where: ``door`` answers HTTP, ``desk`` owns the lessons and is the only one who changes
them, ``log`` is the hash-chained record of every change and ``shelf`` what follows from it,
``memories`` picks what an agent is given, ``exposures`` notes that it was given.

A lesson changes by ``lesson_state.transition`` and ``lesson_state.proposed`` alone. What is not
in an intact log is not so: at the start every entry is followed again, and a lesson that the log
does not vouch for is not delivered.
"""
