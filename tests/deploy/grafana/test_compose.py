"""The compose file: valid, and in step with what it starts. No container engine is needed."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ruamel.yaml import YAML

from spanlore.cli.connection import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, DEFAULT_STORE_PORT
from spanlore.cli.up import up_command
from spanlore.grafana import provisioning
from spanlore.grafana.builder import DATASOURCE_TYPE, PLUGIN_VERSION
from spanlore.schemas import tables
from tests.deploy.grafana.conftest import SENT_TIMEOUT_S

GRAFANA_PORT = 3000
FOLDER = Path(__file__).parents[3] / "deploy" / "compose"
FILE = FOLDER / "docker-compose.yml"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(FILE)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)


def in_profile(name: str) -> dict[str, dict[str, Any]]:
    return {key: one for key, one in SERVICES.items() if name in one["profiles"]}


def test_the_file_is_valid_compose() -> None:
    done = validate(FILE)
    assert done.returncode == 0, done.stdout


def test_the_check_sees_a_misspelt_key(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(FILE.read_text().replace("    image: clickhouse", "    imge: clickhouse"))
    assert "imge" in validate(wrong).stdout


def test_each_profile_has_all_that_it_needs_and_nothing_of_the_other() -> None:
    assert set(in_profile("embedded")) == {"spanlore", "otlp", "reader-password", "grafana"}
    assert set(in_profile("server")) == {"clickhouse", "spanlore-server", "grafana-server"}
    for profile in ("embedded", "server"):
        services = in_profile(profile)
        for one in services.values():
            shared = one.get("network_mode", "none").removeprefix("service:")
            assert {*one.get("depends_on", {}), shared} <= {*services, "none"}


@pytest.mark.parametrize("profile", ["embedded", "server"])
def test_published_ports_are_of_this_machine_alone_and_lead_to_spanlores(profile: str) -> None:
    published = [port for one in in_profile(profile).values() for port in one.get("ports", [])]
    # Each is published as itself: the HTTP door answers to a Host with its own port.
    ports = {DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, GRAFANA_PORT}
    assert sorted(published) == sorted(f"127.0.0.1:{port}:{port}" for port in ports)
    [spanlore] = [one for name, one in in_profile(profile).items() if name.startswith("spanlore")]
    assert f"CMD {json.dumps(spanlore['command'][:3])}" in DOCKERFILE
    told = up_command.make_context("up", spanlore["command"][2:]).params
    assert (told["container"], told["grpc_port"], told["http_port"]) == (
        True,
        DEFAULT_GRPC_PORT,
        DEFAULT_HTTP_PORT,
    )
    # Others reach it by the name of the service whose network it is in.
    [named] = [name for name, one in in_profile(profile).items() if one is spanlore]
    assert told["allow_host"] == (spanlore.get("network_mode", f":{named}").partition(":")[2],)


@pytest.mark.parametrize("name", ["grafana", "grafana-server"])
def test_grafana_is_given_what_the_provisioning_asks_of_it(name: str) -> None:
    service = SERVICES[name]
    environment = service["environment"]
    asked = (provisioning.STORE_HOST, provisioning.STORE_PORT)
    assert {one.strip("${}") for one in asked} <= set(environment)
    assert environment["SPANLORE_STORE_PORT"] == str(DEFAULT_STORE_PORT)
    password = provisioning.READER_PASSWORD.strip("${}")
    given = [*service.get("entrypoint", []), (FOLDER / "server.env.example").read_text()]
    assert any(f"{password}=" in text for text in given)
    assert environment["GF_PLUGINS_PREINSTALL_SYNC"] == f"{DATASOURCE_TYPE}@{PLUGIN_VERSION}"
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in service["volumes"]}
    assert (FOLDER / mounts["/etc/grafana/provisioning"] / "datasources").is_dir()
    assert (FOLDER / mounts[provisioning.DASHBOARDS_PATH] / "spanlore.json").is_file()


def test_the_servers_reader_reads_the_tables_and_nothing_else() -> None:
    root = ET.parse(FOLDER / "clickhouse" / "reader.xml").getroot()  # noqa: S314 - ours
    user = root.find(f"users/{provisioning.READER}")
    assert user is not None
    password = user.find("password")
    assert password is not None
    assert password.get("from_env") == provisioning.READER_PASSWORD.strip("${}")
    assert [one.text for one in user.iter("query")] == [f"GRANT SELECT ON {tables.DATABASE}.*"]
    profile = root.find(f"profiles/{user.findtext('profile')}")
    assert profile is not None
    assert profile.findtext("readonly") == "1"
    # More than is allowed would be an error, not less time.
    allowed_s = int(profile.findtext("constraints/max_execution_time/max") or 0)
    assert allowed_s >= SENT_TIMEOUT_S


def test_only_the_readers_password_leaves_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text(
        '{"admin": {"password": "a"}, "reader": {"user": "reader", "password": "r"}}'
    )
    script = SERVICES["reader-password"]["command"][-1]
    for inside in ("/data/", "/run/spanlore/"):
        assert inside in script
        script = script.replace(inside, f"{tmp_path}/")
    subprocess.run([sys.executable, "-c", script], check=True)
    assert (tmp_path / "reader_password").read_text() == "r"


def test_the_image_runs_as_nobody_in_particular_and_says_how_it_is() -> None:
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert "\nUSER spanlore\n" in final
    assert "\nVOLUME /data\n" in final
    [health] = re.findall(r"HEALTHCHECK .*\\\n\s+CMD (\[.*\])", final)
    assert health == '["spanlore", "status", "--json"]'


def test_the_image_is_built_of_folders_that_are_there() -> None:
    kept = [
        line.removeprefix("!")
        for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    root = FOLDER.parents[1]
    assert [name for name in kept if not (root / name).exists()] == []
