# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks in Python share: the API over one connection kept alive."""
import json
import socket
import ssl
import sys
import time

SOCKET = "/run/muster/musterd.sock"


class Api:
    """By the local socket, logged in with login(); or over TLS from the address `source`."""

    def __init__(self, source=None):
        if source is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.s = context.wrap_socket(socket.create_connection(("127.0.0.1", 443), 30, source))
        else:
            self.s = socket.socket(socket.AF_UNIX)
            self.s.connect(SOCKET)
        self.f = self.s.makefile("rb")
        self.session = None

    def send(self, method, *params):
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()
        self.s.sendall(
            b"POST /jsonrpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )

    def receive(self):
        size = 0
        if not self.f.readline():
            raise ConnectionError("the server closed the connection")
        while line := self.f.readline().strip():
            if line.lower().startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        answer = json.loads(self.f.read(size))
        if "error" in answer:
            raise RuntimeError(str(answer["error"])[:300])
        return answer["result"]

    def call(self, method, *params):
        self.send(method, *params)
        return self.receive()

    def login(self, program="bench"):
        self.session = self.call("session.login_with_password", "root", "", "1.0", program)
        return self


def row(name, value, unit, target):
    print(f"{name}|{value}|{unit}|{target}", flush=True)


def timed(f, *args):
    """Milliseconds."""
    start = time.monotonic()
    f(*args)
    return (time.monotonic() - start) * 1000


def median(values):
    return sorted(values)[(len(values) - 1) // 2]


def wait_for_listener(port, n_seconds=60):
    """The hypervisor's daemon is started again when the host has its address; what is under way then would be cut off."""
    end = time.monotonic() + n_seconds
    while time.monotonic() < end:
        for path in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(path, encoding="utf-8") as f:
                if any(w[1].endswith(":%04X" % port) and w[3] == "0A" for w in map(str.split, f) if w[0] != "sl"):
                    return
        time.sleep(0.1)
    sys.exit("nobody listens at port %d" % port)
