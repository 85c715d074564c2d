# shellcheck shell=bash disable=SC2154
# What the tests of this folder share: consoles on a vt100 of 80x24 in tmux, keys, and goldens of screens (UPDATE=1 writes them anew;
# review the diff). Sourced after ../lab/lib.sh.
command -v tmux >/dev/null || skip "'tmux' is not installed (tools/install-deps)"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0} LC_ALL=C.UTF-8
unset TMUX

socket=$top/tmux
terminal() { tmux -S "$socket" -f /dev/null "$@"; }
end_terminals() {
    local status=$?
    terminal kill-server 2>/dev/null || true
    set +e
    (exit "$status")
    cleanup
}
trap end_terminals EXIT

on() { lab exec "$1" -- xe "${@:2}" 2>/dev/null; }
state_is() { [ "$(on "$1" host-list name-label="$1" params=membership-state --minimal)" = "$2" ]; }

# console HOST: a terminal of its own; the settings of the line before and after are kept.
console() {
    terminal new-session -d -s "$1" -x 80 -y 24 \
        "sh -c 'trap : INT; stty -g >$top/stty-before.$1; TERM=vt100 \"$lab_program\" exec $1 -- muster-console; echo \$? >$top/code.$1; stty -g >$top/stty-after.$1'"
}
keys() { terminal send-keys -t "$1" "${@:2}"; }
types() { terminal send-keys -t "$1" -l "$2"; }
# What differs from run to run is written in capitals; the blanks that its length leaves are not looked at.
seen() {
    terminal capture-pane -p -t "$1" | sed -E 's/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/g; s/[0-9a-f]{20,}/FINGERPRINT/g
        s/20[0-9]{2}-[0-9]{2}-[0-9]{2}/DATE/g; s/[0-9]{2}:[0-9]{2}:[0-9]{2}/TIME/g; s/(Uptime +).*/\1UPTIME/; s/in [0-9]+ ms/in N ms/
        s/answered for [0-9]+ s/answered for N s/; s/generation [0-9]+/generation N/; s/ +$//'
}
is_golden() { # HOST NAME
    seen "$1" >"$top/seen"
    diff -u "$here/$2.screen" "$top/seen"
}
# golden HOST NAME TEXT: once TEXT is on it, the screen becomes what NAME.screen says.
golden() {
    eventually 40 "$1 shows '$3'" shows "$1" "$3"
    if [ "${UPDATE:-}" = 1 ]; then
        sleep 4
        seen "$1" >"$here/$2.screen"
    fi
    eventually 20 "its screen is $2.screen" is_golden "$1" "$2"
}
shows() { # HOST TEXT
    seen "$1" >"$top/seen"
    grep -qF -- "$2" "$top/seen" || { cat "$top/seen"; false; }
}

# signal_daemon HOST SIGNAL
signal_daemon() { lab exec "$1" -- sh -c "kill -$2 \"\$(pgrep -o -x musterd)\""; }
