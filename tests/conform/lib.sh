# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2034,SC2016
# What the conformance tests share: a pool of two, and other people's clients, unchanged, at the desk of the lab: in its
# network, but with the files of this machine, for that is where they are installed. They trust the pool's authority and nothing else.
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tests/system/lab/lib.sh
. "$tests/system/lab/lib.sh"
# shellcheck source=tests/system/faults/lib.sh
. "$tests/system/faults/lib.sh"

coordinator=10.9.0.11
member=10.9.0.12
password=muster

needs() { # WHAT COMMAND...: skips the test when the command fails
    local what=$1
    shift
    "$@" >/dev/null 2>&1 || skip "$what is not on this machine (tools/install-deps conform)"
}

at_desk() { nsenter --net="$MUSTER_LAB_DIR/ns/admin" "$@"; }

trust_pool() {
    lab exec h1 -- cat /var/lib/muster/pki/ca.pem >"$top/ca.pem"
    export SSL_CERT_FILE=$top/ca.pem NODE_EXTRA_CA_CERTS=$top/ca.pem
}

# Virtual machines cannot be created by the API yet, so some rows are put into the database: two VMs, a template, a disk, a drive,
# an interface. What clients are shown of them comes from the API.
put_guests() {
    local host network
    host=$(on h1 host-list name-label=h1 --minimal)
    network=$(on h1 network-list bridge=xenbr2 --minimal)
    sed -e "s/@HOST@/$host/g; s/@NETWORK@/$network/g" "$tests/conform/guests.json" |
        lab exec h1 -- sh -c 'ovsdb-client --timeout=10 transact unix:/run/muster/pooldb.sock "$(cat)"' >"$top/guests" || return 1
    cat "$top/guests"
    ! grep -q '"error"' "$top/guests"
}
