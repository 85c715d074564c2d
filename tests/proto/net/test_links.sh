#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Promise P1 by construction: what boots the network cannot reach a pool. No TLS, no HTTP, no database replica, none of
# the pool's or the API's code is in the program.
set -euo pipefail
NETBOOT=${MUSTER_NETBOOT:?path of muster-netboot}
fail() { echo "FAILED: $*" >&2; exit 1; }

libraries=$(ldd "$NETBOOT" | awk '{print $1}')
for bad in libssl libcurl libpam libexpat libvirt libmicrohttpd; do
    case $libraries in *"$bad"*) fail "$NETBOOT links $bad" ;; esac
done
symbols=$(nm -g --defined-only "$NETBOOT" | awk '{print $3}')
for prefix in db_ pool_ api_ class_ call_ session_ tls_ http_ wire_ auth_ probe_ net_wanted; do
    found=$(grep "^$prefix" <<<"$symbols" | head -3 || true)
    [ -z "$found" ] || fail "$NETBOOT contains $found"
done
grep -q '^net_plan_compute$' <<<"$symbols" || fail "the symbol table cannot be read"
echo "PASSED"
