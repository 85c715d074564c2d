# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks in Python share: the API over one connection kept alive."""
import json
import os
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


def daemon():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                if f.read().strip() == "musterd" and os.stat(f"/proc/{pid}/ns/pid").st_ino == os.stat("/proc/self/ns/pid").st_ino:
                    return int(pid)
        except OSError:
            pass
    return 0


def memory(pid, key):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1024
    return 0.0


def blank_vm():
    """What VM.create asks for, with the type's own emptiness."""
    record = {
        "name_description": "", "user_version": "1", "is_a_template": False, "affinity": "OpaqueRef:NULL",
        "memory_static_max": "268435456", "memory_static_min": "134217728", "memory_dynamic_max": "268435456",
        "memory_dynamic_min": "268435456", "VCPUs_params": {}, "VCPUs_max": "2", "VCPUs_at_startup": "2",
        "actions_after_shutdown": "destroy", "actions_after_reboot": "restart", "actions_after_crash": "restart",
        "PV_bootloader": "", "PV_kernel": "", "PV_ramdisk": "", "PV_args": "", "PV_bootloader_args": "", "PV_legacy_args": "",
        "HVM_boot_policy": "BIOS order", "HVM_boot_params": {"order": "cdn"}, "HVM_shadow_multiplier": 1.0,
        "platform": {"acpi": "1", "apic": "true", "pae": "true", "viridian": "true"}, "PCI_bus": "",
        "other_config": {"bench": "a machine as wide as one that somebody uses"}, "recommendations": "", "xenstore_data": {},
        "ha_always_run": False, "ha_restart_priority": "", "tags": ["bench"], "blocked_operations": {},
        "protection_policy": "OpaqueRef:NULL", "is_snapshot_from_vmpp": False, "appliance": "OpaqueRef:NULL", "start_delay": "0",
        "shutdown_delay": "0", "order": "0", "suspend_SR": "OpaqueRef:NULL", "version": "0", "generation_id": "",
        "hardware_platform_version": "0",
    }  # fmt: skip
    return record
