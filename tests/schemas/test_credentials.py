import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spanlore.schemas.credentials import FILE_NAME, CredentialsError, load_or_create


def made_before_there_was_a_review_door(data_dir: Path) -> dict[str, object]:
    load_or_create(data_dir)
    path = data_dir / FILE_NAME
    known: dict[str, object] = json.loads(path.read_text())
    del known["review_token"]
    path.write_text(json.dumps(known))
    return known


def test_secrets_of_before_the_review_door_are_kept_and_its_token_is_added(tmp_path: Path) -> None:
    known = made_before_there_was_a_review_door(tmp_path)
    found = load_or_create(tmp_path)
    assert len(found.review_token) > 40
    assert found.collector_token == known["collector_token"]
    assert load_or_create(tmp_path) == found
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert [
        path.name for path in tmp_path.iterdir() if path.name.startswith(f".{FILE_NAME}.")
    ] == []


def test_processes_that_add_the_token_at_once_agree_on_it(tmp_path: Path) -> None:
    made_before_there_was_a_review_door(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(load_or_create, [tmp_path] * 32))
    assert found == {load_or_create(tmp_path)}


def test_secrets_that_are_none_are_named_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"admin": {}}')
    with pytest.raises(CredentialsError, match="restore it, or delete it"):
        load_or_create(tmp_path)
