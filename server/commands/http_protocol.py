"""Refuses what is no HTTP request with JSON, as every other error is."""

import json

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from server.models.base import new_id

DETAIL = (
    "This is not a valid HTTP request: use a known method, header lines without control characters, and a URL of at "
    "most 64 KB."
)


class HttpProtocol(HttpToolsProtocol):
    def send_400_response(self, _msg: str) -> None:
        """Answer with `DETAIL` and close the connection. The application never sees such a request."""
        body = json.dumps({"detail": DETAIL})
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "x-request-id": new_id("req_"),
            "connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(STATUS_LINE[400] + f"{lines}\r\n{body}".encode("ascii"))
        self.transport.close()
