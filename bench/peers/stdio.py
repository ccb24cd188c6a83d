"""An MCP client over standard input and output, for any number of threads at a time."""

import itertools
import json
import subprocess
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

PROTOCOL = "2025-06-18"
START_SECONDS = 120
CALL_SECONDS = 300


class StdioServer:
    """An MCP server that runs as a child process, as an assistant starts it."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        with log.open("a") as errors:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        client = {"name": "bench", "version": "1"}
        self._ask("initialize", {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client}, START_SECONDS)
        self._send({"method": "notifications/initialized"})

    def call(self, tool: str, **arguments: object) -> Any:
        """Return the tool's result. Raises RuntimeError if it is an error."""
        result = self._ask("tools/call", {"name": tool, "arguments": arguments}, CALL_SECONDS)
        if result.get("isError"):
            raise RuntimeError(f"{tool}: {result['content']}")
        return result

    def tools(self) -> Any:
        return self._ask("tools/list", {}, CALL_SECONDS)["tools"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _ask(self, method: str, params: object, seconds: float) -> Any:
        number, answer = next(self._numbers), Future[Any]()
        self._waiting[number] = answer
        self._send({"id": number, "method": method, "params": params})
        message = answer.result(seconds)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def _send(self, message: dict[str, object]) -> None:
        line = json.dumps({"jsonrpc": "2.0"} | message) + "\n"
        with self._lock:
            assert self.process.stdin is not None
            self.process.stdin.write(line)
            self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line) if line.startswith("{") else {}
            if answer := self._waiting.pop(message.get("id", 0), None):
                answer.set_result(message)
        for answer in self._waiting.values():
            answer.set_exception(RuntimeError("the server has ended"))
