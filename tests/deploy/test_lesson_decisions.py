import os
import pwd

import pytest
from click.testing import CliRunner

from spanlore.cli.lessons import lessons_command


def test_who_revokes_where_the_machine_knows_no_name_has_to_be_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container that runs as a number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    nobody = max(one.pw_uid for one in pwd.getpwall()) + 1
    monkeypatch.setattr(os, "getuid", lambda: nobody)
    result = CliRunner().invoke(lessons_command, ["revoke", "m1"])
    assert result.exit_code == 2
    assert "--by" in result.stderr
