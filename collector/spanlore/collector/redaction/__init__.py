"""Takes secrets out of requests before they reach the log, and personal data where told to.

A request's bytes are scanned once (`hints`); only one that holds something suspicious is parsed,
and each of its strings looked at (`request`, `redactor`): as it stands, with its JSON and percent
escapes undone (`escapes`), and inside base64 (`base64_runs`). `kinds` is the table of what counts
as a secret, `fields` says which names promise one.
"""
