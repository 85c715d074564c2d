#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From the commit of a write to its event at the last of N waiting clients. Runs on the coordinator, over its local socket.

usage: events.py SOCKET CLIENTS WRITES      prints p50 and p99 in ms, and the time of the write call itself
Each client keeps one connection with an event.from waiting; the clock starts when the write's answer is there (it is committed
then) or at the first event, whichever is later known to be earlier: a value below zero counts as zero.
"""
import json
import selectors
import socket
import sys
import time


def request(method, params):
    body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()
    return b"POST /jsonrpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""

    def send(self, method, params):
        self.socket.sendall(request(method, params))

    def feed(self):
        """One answer, or None while it is not whole."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise SystemExit("the server closed a connection")
        self.buffer += data
        head, sep, rest = self.buffer.partition(b"\r\n\r\n")
        if not sep:
            return None
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        if len(rest) < size:
            return None
        self.buffer = rest[size:]
        answer = json.loads(rest[:size])
        if "error" in answer and answer["error"]:
            raise SystemExit(f"the server says: {answer['error']}")
        return answer["result"]

    def call(self, method, params):
        self.send(method, params)
        while True:
            result = self.feed()
            if result is not None:
                return result


def main():
    path, n_clients, n_writes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    writer = Connection(path)
    session = writer.call("session.login_with_password", ["root", ""])
    pool = writer.call("pool.get_all", [session])[0]
    token = writer.call("event.from", [session, ["pool"], "", 0.0])["token"]
    clients = [Connection(path) for _ in range(n_clients)]
    selector = selectors.DefaultSelector()
    for c in clients:
        selector.register(c.socket, selectors.EVENT_READ, c)
    tokens = [token] * n_clients
    last, call = [], []
    for i in range(n_writes):
        key = f"bench-{i}"
        waiting = set()
        for k, c in enumerate(clients):
            c.send("event.from", [session, ["pool"], tokens[k], 30.0])
            waiting.add(c)
        time.sleep(0.02)  # all of them are waiting before the write begins
        start = time.monotonic()
        writer.call("pool.add_to_other_config", [session, pool, key, "x"])
        committed = time.monotonic()
        seen = committed
        while waiting:
            ready = selector.select(10)
            if not ready:
                raise SystemExit("an event was lost")
            for event, _ in ready:
                c = event.data
                result = c.feed()
                if result is None:
                    continue
                tokens[clients.index(c)] = result["token"]
                if any(key in e["snapshot"]["other_config"] for e in result["events"]):
                    waiting.discard(c)
                    seen = max(seen, time.monotonic())
                else:
                    c.send("event.from", [session, ["pool"], result["token"], 30.0])
        last.append((seen - committed) * 1000)
        call.append((committed - start) * 1000)
        writer.call("pool.remove_from_other_config", [session, pool, key])
        for k in range(n_clients):
            tokens[k] = writer.call("event.from", [session, ["pool"], tokens[k], 0.0])["token"] if k == 0 else tokens[0]
    last.sort()
    call.sort()
    print(f"{last[len(last) // 2]:.2f} {last[int(len(last) * 0.99)]:.2f} {call[len(call) // 2]:.2f}")


main()
