import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spanlore.schemas import tokens
from spanlore.schemas.keyring import Keyring, Unauthenticated
from spanlore.schemas.tokens import (
    FILE_NAME,
    INGEST,
    READ,
    TokensError,
    create_token,
    read_tokens,
    revoke_token,
)


def ring(data_dir: Path) -> Keyring:
    return Keyring(data_dir, own="own-secret", own_name="review_token")


def test_a_token_is_kept_as_its_hash_alone_and_for_its_owner_alone(tmp_path: Path) -> None:
    ends_at = datetime(2030, 1, 1, tzinfo=UTC)
    kept, text = create_token(
        tmp_path, tenant="acme", scopes=[INGEST, READ], name="ci", expires_at=ends_at
    )
    path = tmp_path / FILE_NAME
    assert text not in path.read_text()
    assert text.rpartition("_")[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]
    assert read_tokens(tmp_path) == (kept,)
    assert (kept.tenant, kept.scopes, kept.expires_at) == ("acme", (INGEST, READ), ends_at)


def test_tokens_made_and_revoked_at_once_are_none_of_them_lost(tmp_path: Path) -> None:
    first = [create_token(tmp_path, tenant="*", scopes=[READ])[0] for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        made = [
            threads.submit(create_token, tmp_path, tenant="*", scopes=[INGEST]) for _ in range(20)
        ]
        gone = [threads.submit(revoke_token, tmp_path, one.token_id) for one in first]
        kept = {one.result()[0].token_id for one in made}
        assert [one.result() for one in gone] == first
    assert {one.token_id for one in read_tokens(tmp_path)} == kept
    assert revoke_token(tmp_path, first[0].token_id) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"tenant": ""},
        {"tenant": "a\nb"},
        {"tenant": "ü" * 129},
        {"scopes": ["write"]},
        {"scopes": []},
        {"name": "x" * 101},
    ],
    ids=str,
)
def test_what_no_door_could_make_sense_of_is_not_kept(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    given: Any = {"tenant": "acme", "scopes": [INGEST], **wrong}
    with pytest.raises(ValueError, match="give"):
        create_token(tmp_path, **given)
    assert read_tokens(tmp_path) == ()


def test_there_is_an_end_to_how_many_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "TOKENS_MAX", 2)
    for _ in range(2):
        create_token(tmp_path, tenant="*", scopes=[INGEST])
    with pytest.raises(TokensError, match="revoke some first"):
        create_token(tmp_path, tenant="*", scopes=[INGEST])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tokens": [{}]}', '{"tokens": 3}'])
def test_a_file_that_holds_no_tokens_is_named_and_nothing_is_written_over_it(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(text)
    with pytest.raises(TokensError, match=str(path)):
        create_token(tmp_path, tenant="*", scopes=[INGEST])
    assert path.read_text() == text


def test_a_token_with_the_id_of_another_and_another_secret_opens_nothing(tmp_path: Path) -> None:
    kept, text = create_token(tmp_path, tenant="acme", scopes=[INGEST])
    other = f"spl_{kept.token_id}_{'A' * 43}"
    keyring = ring(tmp_path)
    assert keyring.tenant(f"bearer {text}", INGEST) == "acme"
    for wrong in (other, text.upper(), text[:-1], f"{text}x", f"{text} x", "", "ü", kept.sha256):
        with pytest.raises(Unauthenticated):
            keyring.tenant(f"Bearer {wrong}", INGEST)


def test_a_token_ends_when_its_time_is_over(tmp_path: Path) -> None:
    _, text = create_token(
        tmp_path,
        tenant="*",
        scopes=[INGEST],
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    keyring = ring(tmp_path)
    assert keyring.tenant(f"Bearer {text}", INGEST) == "*"
    document = json.loads((tmp_path / FILE_NAME).read_text())
    document["tokens"][0]["expires_at"] = datetime.now(UTC).isoformat()
    (tmp_path / FILE_NAME).write_text(json.dumps(document))
    with pytest.raises(Unauthenticated, match="expired"):
        keyring.tenant(f"Bearer {text}", INGEST)
