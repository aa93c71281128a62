import httpx
import pytest

from spanlore.schemas.credentials import Login
from tests.store_server.store_process import StoreProcess


@pytest.mark.parametrize(
    "login",
    [Login("admin", "wrong"), Login("nobody", ""), Login("default", ""), Login("ingest", "ž")],
)
def test_a_wrong_login_is_403_with_code_516(served: StoreProcess, login: Login) -> None:
    with served.http(login) as http:
        answer = http.post("/", content="SELECT 1")
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (403, "516")
    answer = httpx.post(served.url, content="SELECT 1", trust_env=False)
    assert answer.status_code == 403


def test_a_user_name_that_is_not_utf8_is_a_wrong_login(served: StoreProcess) -> None:
    answer = httpx.get(f"{served.url}/?query=SELECT+1&user=%ff&password=%ff", trust_env=False)
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (403, "516")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "127.0.0.1", ""])
def test_another_host_is_refused_even_for_ping(served: StoreProcess, host: str) -> None:
    with served.http() as http:
        assert http.get("/ping", headers={"Host": host}).status_code == 403
        assert http.post("/", content="SELECT 1", headers={"Host": host}).status_code == 403


def test_a_foreign_origin_is_refused_and_our_own_is_not(served: StoreProcess) -> None:
    with served.http() as http:
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{served.port}.evil"):
            answer = http.post("/", content="SELECT 1", headers={"Origin": origin})
            assert answer.status_code == 403
        own = http.post("/", content="SELECT 1", headers={"Origin": served.url})
        assert own.status_code == 200
        local = http.get("/ping", headers={"Host": f"localhost:{served.port}"})
        assert local.status_code == 200


def test_ingest_inserts_and_selects(served: StoreProcess, table: str) -> None:
    served.ask(f"INSERT INTO {table} VALUES (1, 'x')", login=served.ingest)
    served.ask(f"INSERT INTO {table} FORMAT CSV\n2,y\n", login=served.ingest)
    served.ask(
        f"INSERT INTO {table} SELECT number, toString(number) FROM numbers(3, 2)",
        login=served.ingest,
    )
    ask = f"WITH 1 AS one SELECT count() FROM {table} WHERE one"
    assert served.ask(ask, login=served.ingest) == "4\n"
    assert served.ask("SHOW TABLES", login=served.ingest)


FORBIDDEN = [
    "DROP TABLE {t}",
    "CREATE TABLE u (a UInt8) ENGINE = Memory",
    "ALTER TABLE {t} DELETE WHERE 1",
    "TRUNCATE TABLE {t}",
    "OPTIMIZE TABLE {t}",
    "KILL QUERY WHERE 1",
    "SET max_threads = 1",
    "SYSTEM FLUSH LOGS",
    "/* a */ -- b\n dRoP TABLE {t}",
    "INSERT INTO {t} VALUES (1, 'x'); DROP TABLE {t}",
    "SELECT 1; DROP TABLE {t}",
    "EXPLAIN AST SELECT 1; DROP TABLE {t}",
    "INSERT INTO FUNCTION file('x', 'CSV', 'a UInt8') VALUES (1)",
    "INSERT INTO FUNCTION file('x', 'CSV', 'a UInt8') SELECT 1",
    "INSERT INTO FUNCTION file('x', 'CSV', 'a UInt8') FORMAT CSV\n1\n",
    "INSERT INTO TABLE FUNCTION file('x', 'CSV', 'a UInt8') FORMAT CSV\n1\n",
    "INSERT INTO {t} SELECT 1, file('/etc/passwd')",
    "INSERT INTO {t} FROM INFILE '/etc/passwd' FORMAT TSV",
    "SELECT file('/etc/passwd')",
    "SELECT `file`('/etc/passwd')",
    "SELECT arrayMap(file, ['/etc/passwd'])",
    "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
    "SELECT * APPLY(x -> file(x)) FROM (SELECT '/etc/passwd')",
    "SHOW TABLES WHERE file('/etc/passwd') != ''",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM (SELECT * FROM url('http://127.0.0.1/', 'TSV'))",
    "SELECT * FROM remote('127.0.0.1', 'system.one')",
    "SELECT * FROM merge('default', '.*')",
    "SELECT * FROM executable('x', 'TSV', 'a UInt8')",
    "SELECT 1 INTO OUTFILE 'x'",
    "SELECT * FROM `../credentials.json`",
    "SELECT * FROM '../credentials.json'",
    "SELECT * FROM default.`../credentials.json`",
    "SELECT * FROM {{name:Identifier}}",
    "SELECT 1 WHERE 'a' IN `../credentials.json`",
    "WITH x AS (SELECT * FROM `../credentials.json`) SELECT * FROM x",
    "DESCRIBE TABLE `../credentials.json`",
    "EXISTS TABLE `../credentials.json`",
    "INSERT INTO `../credentials.json` VALUES ('x')",
    "INSERT INTO `../credentials.json` SELECT 'x'",
    "INSERT INTO `../credentials.json` FORMAT JSONEachRow\n{{}}\n",
    "INSERT INTO {{name:Identifier}} FORMAT JSONEachRow\n{{}}\n",
    "INSERT INTO lessons FORMAT JSONEachRow\n{{}}\n",
    "INSERT INTO spanlore.learning_log SELECT 1",
    "INSERT INTO `spanlore`.`effects` VALUES (1)",
    "",
]


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_ingest_may_not(served: StoreProcess, table: str, sql: str) -> None:
    secrets = (served.data_dir / "credentials.json").read_bytes()
    with served.http(served.ingest) as http:
        name = {"param_name": "../credentials.json"}
        answer = http.post("/", content=sql.format(t=table), params=name)
    assert (served.data_dir / "credentials.json").read_bytes() == secrets
    assert answer.status_code in {400, 403, 500}, answer.text
    assert answer.headers["x-clickhouse-exception-code"] in {"497", "62", "48"}
    assert served.ask(f"SELECT count() FROM {table}") == "0\n"
    assert not (served.data_dir / "spool" / "x").exists()
