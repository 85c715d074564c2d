#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends the requests of corpus files to `serve` and compares the answers, to the byte. README.md explains the files.

usage: run_corpus.py SERVE FILE...
"""
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

DEADLINE_S = 10
NAMES = {"H": "01", "POOL": "02", "N": "03", "P": "04", "V": "05", "NOBODY": "99"}


class Failure(Exception):
    pass


def escaped(text):
    """The text with its \\r \\n \\t \\\\ \\xNN and \\*COUNT{TEXT} as bytes."""
    out = bytearray()
    i = 0
    while i < len(text):
        repeat = re.match(r"\\\*(\d+)\{(.*?)\}", text[i:])
        if repeat:
            out += escaped(repeat[2]) * int(repeat[1])
            i += repeat.end()
        elif text[i] == "\\" and text[i + 1] == "x":
            out.append(int(text[i + 2 : i + 4], 16))
            i += 4
        elif text[i] == "\\" and text[i + 1] in "rnt\\":
            out += {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}[text[i + 1]]
            i += 2
        else:
            out += text[i].encode()
            i += 1
    return bytes(out)


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(path)
        self.data = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was read; the answer is there all the same

    def fill(self):
        try:
            more = self.socket.recv(65536)
        except ConnectionResetError:
            more = b""
        except TimeoutError:
            raise Failure(f"no answer in {DEADLINE_S} s; so far {self.data[:300]!r}") from None
        self.data += more
        return bool(more)

    def receive(self, has_body=True):
        """One response: status, headers, body."""
        while b"\r\n\r\n" not in self.data:
            if not self.fill():
                raise Failure(f"the connection ended after {self.data[:300]!r}")
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        size = int(headers.get("content-length", 0)) if has_body else 0
        while len(self.data) < size:
            if not self.fill():
                raise Failure("the connection ended in the body")
        body, self.data = self.data[:size], self.data[size:]
        return int(lines[0].split()[1]), headers, body

    def is_closed(self):
        return not self.data and not self.fill()


def xml_call(method, params):
    values = "".join(f"<param>{p}</param>" for p in params)
    return f'<?xml version="1.0"?><methodCall><methodName>{method}</methodName><params>{values}</params></methodCall>'


def xml_answer(value):
    return f'<?xml version="1.0"?><methodResponse><params><param>{value}</param></params></methodResponse>'


def xml_member(name, value):
    return f"<member><name>{name}</name>{value}</member>"


def xml_success(value):
    return xml_answer(f"<value><struct>{xml_member('Status', '<value>Success</value>')}{xml_member('Value', value)}</struct></value>")


def xml_failure(words):
    description = "<value><array><data>" + "".join(f"<value>{w}</value>" for w in words) + "</data></array></value>"
    status = xml_member("Status", "<value>Failure</value>")
    return xml_answer(f"<value><struct>{status}{xml_member('ErrorDescription', description)}</struct></value>")


DIALECTS = {
    "xml": {
        "path": "/RPC2",
        "type": "text/xml",
        "call": xml_call,
        "success": xml_success,
        "failure": xml_failure,
    },
    "json1": {
        "path": "/jsonrpc",
        "type": "application/json",
        "call": lambda method, params: f'{{"method":"{method}","params":[{",".join(params)}],"id":"a"}}',
        "success": lambda value: f'{{"result":{value},"error":null,"id":"a"}}',
        "failure": lambda words: f'{{"result":null,"error":[{",".join(f"{chr(34)}{w}{chr(34)}" for w in words)}],"id":"a"}}',
    },
    "json2": {
        "path": "/jsonrpc",
        "type": "application/json",
        "call": lambda method, params: f'{{"jsonrpc":"2.0","method":"{method}","params":[{",".join(params)}],"id":7}}',
        "success": lambda value: f'{{"jsonrpc":"2.0","result":{value},"id":7}}',
        "failure": lambda words: f'{{"jsonrpc":"2.0","error":{{"code":1,"message":"{words[0]}",'
        f'"data":[{",".join(f"{chr(34)}{w}{chr(34)}" for w in words[1:])}]}},"id":7}}',
    },
}


class Runner:
    def __init__(self, path):
        self.path = path
        self.names = {name: f"OpaqueRef:00000000-0000-4000-8000-0000000000{last}" for name, last in NAMES.items()}
        self.names["S"] = self.log_in()
        self.n_cases = self.n_failed = 0

    def log_in(self):
        body = DIALECTS["json1"]["call"]("session.login_with_password", ['"root"', '""']).encode()
        connection = Connection(self.path)
        connection.send(b"POST /jsonrpc HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return re.search(rb'"result":"([^"]+)"', connection.receive()[2])[1].decode()

    def expand(self, text):
        for name in sorted(self.names, key=len, reverse=True):
            text = text.replace("$" + name, self.names[name])
        return text

    def send(self, connection, kind, rest, lines):
        lines = [self.expand(line) for line in lines]
        if kind == "raw":
            connection.send(escaped("".join(lines)))
            return
        if kind == "post":
            words, body = rest.split(" "), escaped("".join(lines))
            path, headers = words[0], [w.replace(":", ": ", 1) for w in words[1:]]
        else:
            dialect = DIALECTS[kind]
            path, headers, body = dialect["path"], [], escaped(dialect["call"](rest, lines))
        head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n" + "".join(h + "\r\n" for h in headers)
        connection.send(head.encode() + b"\r\n" + body)

    def expect(self, connection, kind, word, rest):
        """One line of what is expected. Sets self.response at the lines that begin a response."""
        rest = self.expand(rest)
        if word in ("=", "!"):
            dialect = DIALECTS[kind]
            body = dialect["success"](rest) if word == "=" else dialect["failure"](rest.split(" | "))
            self.response = connection.receive()
            self.same(200, self.response[0])
            self.same(dialect["type"], self.response[1].get("content-type"))
            self.same(escaped(body), self.response[2])
        elif word == "status":
            code, *more = rest.split(" ")
            self.response = connection.receive(has_body="nobody" not in more)
            self.same(int(code), self.response[0])
        elif word == "header":
            name, _, value = rest.partition(": ")
            self.same(value if value != "(none)" else None, self.response[1].get(name.lower()))
        elif word == "body":
            self.same(escaped(rest), self.response[2])
        elif word == "has":
            if escaped(rest) not in self.response[2]:
                raise Failure(f"{rest!r} is not in {self.response[2][:500]!r}")
        elif word == "closed":
            if not connection.is_closed():
                raise Failure(f"more came: {connection.data[:300]!r}")
        elif word == "open":
            self.send(connection, "json1", "system.isAlive", ['"yes"'])
            self.expect(connection, "json1", "=", '"yes"')
        else:
            raise Failure(f"unknown word '{word}'")

    @staticmethod
    def same(expected, got):
        if expected != got:
            raise Failure(f"expected {expected!r}\n           got      {got!r}")

    def run_case(self, steps):
        connection = None
        for kind, rest, lines, expectations in steps:
            if kind == "login":
                self.names[rest] = self.log_in()
                continue
            if kind == "wait":
                time.sleep(float(rest))
                continue
            if connection is None or kind != "raw":
                connection = Connection(self.path)
            self.send(connection, kind, rest, lines)
            for word, text in expectations:
                self.expect(connection, kind, word, text)
                if word == "closed":
                    connection = None

    def run_file(self, name):
        title, steps, start = None, [], 0
        with open(name, encoding="utf-8") as f:
            lines = f.read().split("\n")
        for number, line in enumerate(lines + ["case"], 1):
            word, _, rest = line.partition(" ")
            if word == "case":
                if title is not None:
                    self.n_cases += 1
                    try:
                        self.run_case(steps)
                    except Failure as failure:
                        self.n_failed += 1
                        print(f"NOT  {os.path.basename(name)}:{start}: {title}\n           {failure}")
                title, steps, start = rest, [], number
            elif not line or line.startswith("#"):
                continue
            elif word in ("raw", "post", "login", "wait", *DIALECTS):
                steps.append((word, rest, [], []))
            elif line.startswith("  "):
                steps[-1][2].append(line[2:])
            else:
                steps[-1][3].append((word, rest))


def main():
    serve, *files = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/socket"
        server = subprocess.Popen([serve, path])
        for _ in range(500):
            if os.path.exists(path):
                break
            time.sleep(0.02)
        runner = Runner(path)
        for name in files:
            runner.run_file(name)
        try:
            quit_connection = Connection(path)
            quit_connection.send(b"GET /quit HTTP/1.1\r\nHost: h\r\n\r\n")
            server.wait(30)
        except (ConnectionRefusedError, subprocess.TimeoutExpired):
            server.kill()
        if server.wait() != 0:
            print(f"NOT  the server ended with {server.returncode}")
            runner.n_failed += 1
    print(f"{runner.n_cases} cases, {runner.n_failed} that did not hold")
    sys.exit(1 if runner.n_failed or not runner.n_cases else 0)


main()
