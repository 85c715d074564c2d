# SPDX-License-Identifier: Apache-2.0
"""console.py MODE HOST SESSION [QUERY]: what a client of /console sees, over TLS.

rfb        CONNECT, then the greeting of RFB, both ways, to the size of the screen
websocket  the same inside websocket frames
basic      CONNECT with user:password in SESSION
status     prints the status that the request is answered with
"""
import base64, hashlib, os, socket, ssl, struct, sys

mode, host, session = sys.argv[1:4]
query = sys.argv[4] if len(sys.argv) > 4 else ""
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
s = context.wrap_socket(socket.create_connection((host, 443), 10))
s.settimeout(15)
pending = b""


def read(n):
    global pending
    while len(pending) < n:
        more = s.recv(65536)
        if not more:
            sys.exit("it ended after %d bytes: %r" % (len(pending), pending))
        pending += more
    out, pending = pending[:n], pending[n:]
    return out


def head():
    global pending
    while b"\r\n\r\n" not in pending:
        more = s.recv(4096)
        if not more:
            sys.exit("no head: %r" % pending)
        pending += more
    text, pending = pending.split(b"\r\n\r\n", 1)
    return text.decode()


frames = b""


def frame_read(n):
    global frames
    while len(frames) < n:
        first, second = read(2)
        size = second & 127
        if size == 126:
            size = struct.unpack(">H", read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", read(8))[0]
        data = read(size)
        if first & 15 == 8:
            sys.exit("closed: %r" % data)
        if first != 0x82:
            sys.exit("a frame of kind %x" % first)
        frames += data
    out, frames = frames[:n], frames[n:]
    return out


def frame_write(data):
    mask = os.urandom(4)
    s.sendall(bytes([0x82, 0x80 | len(data)]) + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(data)))


path = "/console?%s" % query
if mode == "websocket":
    key = base64.b64encode(os.urandom(16)).decode()
    s.sendall(("GET %s&session_id=%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\nSec-WebSocket-Key: %s\r\n\r\n"
               % (path, session, key)).encode())
    answer = head()
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    if not answer.startswith("HTTP/1.1 101") or accept not in answer or "Protocol: binary" not in answer:
        sys.exit(answer)
    get, put = frame_read, frame_write
else:
    if mode == "basic":
        word = "Authorization: Basic %s\r\n" % base64.b64encode(session.encode()).decode()
    else:
        word = "Cookie: session_id=%s\r\n" % session
    s.sendall(("CONNECT %s HTTP/1.0\r\n%s\r\n" % (path, word)).encode())
    answer = head()
    if mode == "status":
        print(answer.split()[1])
        sys.exit(0)
    if " 200 " not in answer.split("\r\n")[0]:
        sys.exit(answer)
    get, put = read, s.sendall
if get(12) != b"RFB 003.008\n":
    sys.exit("not RFB")
put(b"RFB 003.008\n")
kinds = get(get(1)[0])
if 1 not in kinds:
    sys.exit("kinds %r" % kinds)
put(b"\x01")
if get(4) != b"\0\0\0\0":
    sys.exit("refused")
put(b"\x01")
width, height = struct.unpack(">HH", get(4))
get(struct.unpack(">16xI", get(20))[0])
# A whole picture: more than a few frames, both ways.
put(struct.pack(">BBHi", 2, 0, 1, 0))
put(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
kind, rectangles = struct.unpack(">BxH", get(4))
x, y, w, h, encoding = struct.unpack(">HHHHi", get(12))
pixels = get(w * h * 4)
print("screen %dx%d, %d bytes" % (width, height, len(pixels)))
