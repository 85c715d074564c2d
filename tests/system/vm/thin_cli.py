# SPDX-License-Identifier: Apache-2.0
"""thin_cli.py HOST USER PASSWORD WORD...: XenServer's thin client, as its protocol is described: prints what it is told, ends
with the code it is told. With HOST "bad" and a kind it misbehaves, and says how the server ended it."""
import socket, ssl, struct, sys

MAGIC = b"XenSource thin CLI protocol"


def connect(host):
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    s = c.wrap_socket(socket.create_connection((host, 443), 10))
    s.settimeout(60)
    return s


def post(s, body):
    s.sendall(b"POST /cli HTTP/1.0\r\nUser-agent: xe-cli/Unix/0.2\r\noriginator: cli\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


pending = b""


def read(s, n):
    global pending
    while len(pending) < n:
        more = s.recv(65536)
        if not more:
            sys.exit("it ended: %r" % pending)
        pending += more
    out, pending = pending[:n], pending[n:]
    return out


def number(s):
    return struct.unpack("<i", read(s, 4))[0]


host, user, password = sys.argv[1:4]
s = connect(host)
post(s, ("\n".join(sys.argv[4:] + ["username=" + user, "password=" + password]) + "\n").encode())
if read(s, 27) != MAGIC:
    sys.exit("no greeting: %r" % pending[:200])
if (number(s), number(s)) != (0, 2):
    sys.exit("another version")
if user == "rude":
    s.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 100)
else:
    s.sendall(MAGIC + struct.pack("<ii", 0, 2) + struct.pack("<iii", 8, 10, 18))  # and that it waits
while True:
    size = number(s)
    kind = number(s)
    tag = number(s)
    if kind != 9:
        sys.exit("kind %d" % kind)
    if tag == 4:
        sys.exit(number(s))
    if tag in (0, 16):
        text = read(s, number(s)).decode()
        (sys.stdout if tag == 0 else sys.stderr).write(text + ("\n" if tag == 0 else ""))
    elif tag == 14:
        code = read(s, number(s)).decode()
        params = [read(s, number(s)).decode() for _ in range(number(s))]
        print("Error:", code, *params)
    else:
        sys.exit("tag %d" % tag)
