"""A real collector process for tests: send, ask, stop or kill."""

import gzip
import sys
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message

from spanlore.collector.signals import SIGNALS, TRACES, Signal
from spanlore.schemas.credentials import load_or_create
from tests.server_process import ServerProcess

PROTOBUF = "application/x-protobuf"
SEND_S = 60


def unary(channel: grpc.Channel, method: str) -> Any:
    """Give a call that sends and gives bytes as they are."""
    return channel.unary_unary(method, request_serializer=None, response_deserializer=None)


class CollectorProcess(ServerProcess):
    """One `python -m spanlore.collector` on free ports."""

    def __init__(
        self,
        data_dir: Path,
        store_url: str,
        *more: str,
        prefix: tuple[str, ...] = (),
        module: str = "spanlore.collector",
    ) -> None:
        self.data_dir = data_dir
        self.token = load_or_create(data_dir).collector_token
        command = [sys.executable, "-m", module, "--data-dir", str(data_dir)]
        ports = ["--grpc-port", "0", "--http-port", "0", "--disk-free-min", "0"]
        super().__init__([*prefix, *command, "--store-url", store_url, *ports, *more])
        self.refused = 0
        self.grpc_address = f"127.0.0.1:{self.ready['grpc_port']}"
        self.url = f"http://127.0.0.1:{self.ready['http_port']}"
        self.local_grpc_address = f"127.0.0.1:{self.ready['local_grpc_port']}"
        self.local_url = f"http://127.0.0.1:{self.ready['local_http_port']}"
        self.channel = grpc.insecure_channel(
            self.grpc_address, options=[("grpc.max_send_message_length", -1)]
        )
        self.client = httpx.Client(base_url=self.url, timeout=SEND_S, trust_env=False)

    def export(self, request: Message | bytes, *, signal: Signal = TRACES, **options: Any) -> bytes:
        """Send a request over gRPC and give the answer's bytes. Raises grpc.RpcError."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        call = unary(self.channel, f"/{signal.service}/Export")
        try:
            answer: bytes = call(body, timeout=SEND_S, **options)
        except grpc.RpcError:
            self.refused += 1
            raise
        return answer

    def post(
        self,
        request: Message | bytes,
        *,
        path: str = TRACES.path,
        is_gzip: bool = False,
        **headers: str,
    ) -> httpx.Response:
        """Send a request over HTTP; header names are written with underscores."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        sent = {"content-type": PROTOBUF, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if is_gzip:
            body = gzip.compress(body)
            sent["content-encoding"] = "gzip"
        answer = self.client.post(path, content=body, headers=sent)
        self.refused += answer.is_error
        return answer

    def flush(self, timeout_s: float = 60) -> dict[str, Any]:
        """Wait until all that was accepted is in the store."""
        answer = self.client.post(
            f"{self.local_url}/flush",
            params={"timeout_s": timeout_s},
            headers=self.authorized(),
            timeout=600,
        )
        assert answer.status_code == 200, (answer.text, list(self.said))
        found: dict[str, Any] = answer.json()
        return found

    def status(self) -> dict[str, Any]:
        """Ask for the counters."""
        answer = self.client.get(f"{self.local_url}/status", headers=self.authorized())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def check_conserved(self) -> dict[str, Any]:
        """See that every record and every refusal of ours is accounted for; give the counters."""
        status = self.status()
        for counts in (status[one.name] for one in SIGNALS):
            kept = counts["accepted"] + counts["rejected"] + counts["quarantined"]
            assert kept == counts["received"], status
        assert sum(status["refused"].values()) >= self.refused, status
        return status

    def authorized(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def rss_bytes(self) -> int:
        """Give the most memory the process ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def open_files(self) -> int:
        """Count what the process has open, connections among it."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self) -> int:
        """Stop it as a supervisor does and give its exit code, once all is accounted for."""
        self.check_conserved()
        return super().stop()

    def ended(self) -> int:
        code = super().ended()
        self.channel.close()
        self.client.close()
        return code
