#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Carries bytes from a TCP port to XenServer's local socket.

The XenAPI.xapi_local() of Debian's fence-agents means the socket but, with Python 3, connects to the host that is called
"_var_xapi_xapi". So on the host under test this name leads here. Prints a line when it listens; ends when its standard input does.
"""
import socket
import sys
import threading


def copy(source, target):
    while True:
        data = source.recv(65536)
        if not data:
            break
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def carry(client, path):
    server = socket.socket(socket.AF_UNIX)
    server.connect(path)
    back = threading.Thread(target=copy, args=(server, client), daemon=True)
    back.start()
    copy(client, server)
    back.join()
    client.close()
    server.close()


def main():
    address, port, path = sys.argv[1:]
    listener = socket.create_server((address, int(port)))

    def serve():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=carry, args=(client, path), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    print("listening", flush=True)
    sys.stdin.read()


main()
