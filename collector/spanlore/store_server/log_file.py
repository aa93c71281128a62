"""The one kind of file that a statement may name: one of the log of the collector on our directory.

So the collector's segments need not come through a socket and a second file. The engine may read
that folder and write nothing there.
"""

import os
from pathlib import Path

from spanlore.schemas.log_files import is_log_file, log_dir
from spanlore.store_server.errors import FILE_DOESNT_EXIST, NOT_IMPLEMENTED, QueryError


def log_file(named: str, directory: Path) -> str:
    """Give the log's file that ``FROM INFILE`` names in ``directory``, as seen from the spool.

    So the engine sees no letter of the path that is not ours: it would take a * as any directory.
    ``named`` is Latin-1 decoded, as statements are read. Raises QueryError that says to send the
    data instead: trying again does not help.
    """
    path = os.fsdecode(named.encode("latin-1"))
    if not is_log_file(path, directory):
        raise QueryError(NOT_IMPLEMENTED, "FROM INFILE names a file of the server: send the data")
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
    except OSError as error:
        raise QueryError(
            FILE_DOESNT_EXIST, f"{path} cannot be read here ({error.strerror}): send the data"
        ) from error
    return str(log_dir(Path("..")) / Path(path).name)
