# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# What the tests of this folder share: a pool of two whose names are asked for at h1. Sourced after ../lab/lib.sh.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}

on() { lab exec "$1" -- xe "${@:2}" 2>/dev/null; }
state_is() { [ "$(on "${3:-h1}" host-list name-label="$1" params=membership-state --minimal)" = "$2" ]; }
state_live() { [ "$(on "${3:-h1}" host-list name-label="$1" params=host-metrics-live --minimal)" = "$2" ]; }
is_ready() { state_is "$1" ready "${2:-h1}" && [ "$(on "${2:-h1}" host-list name-label="$1" params=host-metrics-live --minimal)" = true ]; }
write_pool() { on h1 pool-param-set uuid="$(on h1 pool-list --minimal)" other-config:faults="$1"; }
wrote() { [ "$(on h1 pool-param-get uuid="$(on h1 pool-list --minimal)" param-name=other-config param-key=faults)" = "$1" ]; }

pool_of_two() {
    check 'two hosts come up' lab up --hosts 2 --bin "$build"
    eventually 60 'h1 is a pool of one and ready' is_ready h1
    eventually 60 'h2 is a pool of one and ready' is_ready h2 h2
    check 'h2 joins' lab exec h2 -- xe pool-join master-address=10.9.0.11 master-username=root master-password=muster \
        master-fingerprint="$(on h1 pool-fingerprint)"
    eventually 60 'h2 is ready' is_ready h2
}
