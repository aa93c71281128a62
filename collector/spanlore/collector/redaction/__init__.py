"""Takes secrets out of requests before they reach the log, and personal data where told to.

A request's bytes are scanned once (`hints`); only one that holds something suspicious is parsed,
and each of its strings looked at (`request`, `redactor`): as it stands, with its JSON and percent
escapes undone (`escapes`), and inside base64 (`base64_runs`). `schemas.secret_kinds` is the table
of what counts as a secret, `schemas.secret_names` says which names promise one: a traced process
takes out what it can of the same before it writes or sends anything.
"""
