import json
from pathlib import Path

import pytest

from spanlore.schemas.keyring import Keyring, Unauthenticated
from spanlore.schemas.tokens import INGEST, READ
from tests.deploy.command_line import run_cli


def test_a_token_is_shown_once_listed_without_itself_and_revoked(tmp_path: Path) -> None:
    def token(*arguments: str) -> str:
        ended = run_cli("token", *arguments, "--data-dir", tmp_path)
        assert ended.code == 0, ended.err
        return ended.out

    options = ("--tenant", "acme", "--scope", "ingest", "--scope", "read", "--name", "ci")
    made = json.loads(token("create", *options, "--expires", "90d", "--json"))
    text = made.pop("token")
    listed = token("list", "--json")
    assert json.loads(listed) == [made]
    assert text not in listed + token("list")
    keyring = Keyring(tmp_path, own="own", own_name="review_token")
    assert keyring.tenant(f"Bearer {text}", READ) == "acme"
    revoked = json.loads(token("revoke", made["token_id"], "--json"))
    assert revoked == {**made, "state": "revoked"}
    with pytest.raises(Unauthenticated):
        keyring.tenant(f"Bearer {text}", INGEST)
    assert json.loads(token("list", "--json")) == []


def test_the_token_alone_is_on_stdout(tmp_path: Path) -> None:
    ended = run_cli("token", "create", "--data-dir", tmp_path)
    [text] = ended.out.splitlines()
    assert f"authorization=Bearer%20{text}" in ended.err
    keyring = Keyring(tmp_path, own="own", own_name="review_token")
    assert keyring.tenant(f"Bearer {text}", INGEST) == "*"


def test_what_cannot_be_meant_and_what_is_not_there_is_said(tmp_path: Path) -> None:
    too_long = ["--expires", "999999999999999d"]
    for wrong in (["--scope", "write"], ["--expires", "soon"], too_long, ["--tenant", ""]):
        assert run_cli("token", "create", *wrong, "--data-dir", tmp_path).code == 2
    ended = run_cli("token", "create", "--expires", "0s", "--data-dir", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "--expires: 0s is over at once; say for how long it is good: 12h, 90d" in ended.err
    assert not (tmp_path / "tokens.json").exists()
    ended = run_cli("token", "revoke", "00000000", "--data-dir", tmp_path / "none")
    assert (ended.code, "spanlore token list" in ended.err) == (1, True)
    (tmp_path / "tokens.json").write_text("{")
    assert run_cli("token", "list", "--data-dir", tmp_path).code == 3
