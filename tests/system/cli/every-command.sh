# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A uuid that nothing has, and a parameter that no command takes: what changes something changes nothing.
no=00000000-0000-0000-0000-000000000000
bad=0 n=0
try() {
    local out status
    out=$(timeout 30 xe "$@" </dev/null 2>&1)
    status=$?
    n=$((n + 1))
    if [ "$status" -gt 1 ] || grep -qE 'Sanitizer|runtime error|Assertion|\(null\)' <<<"$out" || { [ "$status" -eq 1 ] && [ -z "$out" ]; }; then
        printf 'xe %s: %d\n%s\n' "$*" "$status" "$(head -n 20 <<<"$out")"
        bad=$((bad + 1))
    fi
}
IFS=, read -r -a commands <<<"$(xe help --minimal)"
# Those that every class has are one code: each is tried, in one way. The others are tried in three.
for c in "${commands[@]}"; do
    try "$c" uuid=$no nonsense=1
    case $c in *-param-* | *-list) continue ;; esac
    case $c in
    pool-* | host-* | event-wait) ;;
    *) try "$c" ;;
    esac
    try "$c" uuid=$no param-name=bogus param-key=z nonsense=1 --minimal
done
[ "$n" -ge 200 ] || { printf 'only %d were tried\n' "$n" && bad=1; }
[ "$bad" -eq 0 ] && echo 'nothing to report'
