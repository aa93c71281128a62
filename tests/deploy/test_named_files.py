from pathlib import Path

from spanlore.cli.named_files import files_naming
from spanlore.collector.record import encode
from spanlore.collector.signals import TRACES
from tests.collector.otlp_requests import spans_of, traces


def naming(folder: Path, user: str) -> list[str]:
    return [str(path.relative_to(folder)) for path in files_naming(folder, user)]


def test_files_that_name_a_user_are_found_in_text_and_in_requests(tmp_path: Path) -> None:
    for place in ("logs", "forward/far", "store/x"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "logs/a.log").write_text("could not read the run of ana: gone")
    (tmp_path / "logs/b.log").write_text("analyses of ana-2, ana@b.org and Santana")
    (tmp_path / "logs/empty.log").touch()
    (tmp_path / "store/x/part.bin").write_text("ana")
    request = traces()
    [span] = spans_of(request)
    for key in ("user.id", "and", "more"):
        span.attributes.add(key=key).value.string_value = "ana"
    body = request.SerializeToString()
    head = encode(body, TRACES, tenant="", received_ns=1, seq=1, log_id=1)
    (tmp_path / "forward/far/1.wal").write_bytes(head + body)
    assert naming(tmp_path, "ana") == ["forward/far/1.wal", "logs/a.log"]


def test_a_name_as_short_as_any_text_has_it_is_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("7 of 7")
    assert naming(tmp_path, "7") == []
    assert naming(tmp_path / "none", "ana") == []
