# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A uuid that nothing has, and a parameter that no command takes: what changes something changes nothing.
no=00000000-0000-0000-0000-000000000000
workers=4
said=$(mktemp -d)
try() {
    local out status
    out=$(timeout 30 xe "$@" </dev/null 2>&1)
    status=$?
    n=$((n + 1))
    if [ "$status" -gt 1 ] || grep -qE 'Sanitizer|runtime error|Assertion|\(null\)' <<<"$out" || { [ "$status" -eq 1 ] && [ -z "$out" ]; }; then
        printf 'xe %s: %d\n%s\n' "$*" "$status" "$(head -n 20 <<<"$out")"
    fi
}
# Each worker takes every fourth command. Those that every class has are one code: each is tried, in one way. The others
# are tried in three.
work() {
    local i c n=0
    for ((i = $1; i < ${#commands[@]}; i += workers)); do
        c=${commands[i]}
        try "$c" uuid=$no nonsense=1
        case $c in *-param-* | *-list) continue ;; esac
        case $c in
        pool-* | host-* | event-wait) ;;
        *) try "$c" ;;
        esac
        try "$c" uuid=$no param-name=bogus param-key=z nonsense=1 --minimal
    done >"$said/$1"
    printf '%d\n' "$n" >"$said/$1.n"
}
IFS=, read -r -a commands <<<"$(xe help --minimal)"
for ((w = 0; w < workers; w++)); do work "$w" & done
wait
n=0
for ((w = 0; w < workers; w++)); do
    cat "$said/$w"
    n=$((n + $(cat "$said/$w.n")))
done
[ "$n" -ge 200 ] || printf 'only %d were tried\n' "$n" >"$said/few"
cat "$said"/few 2>/dev/null
[ "$n" -ge 200 ] && ! cat "$said"/[0-9] | grep -q . && echo 'nothing to report'
rm -rf "$said"
