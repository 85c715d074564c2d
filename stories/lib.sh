# shellcheck shell=bash
# What every story is told with: steps, commands as a person would type them, waiting for a fact with a deadline, and a
# verdict. A story is a bash script that sources this file; a step that does not hold ends it with a non-zero status.
#
# From the environment: MUSTER_BUILD (the build folder), LAB_DIR (the lab's folder), STORY_PRETTY (1: colours).

set -euo pipefail

: "${MUSTER_BUILD:?set by tools/play}" "${LAB_DIR:?set by tools/play}"
LAB_BIN=$MUSTER_BUILD/src/lab/muster-lab
STORY_START=$(date +%s%N)
STORY_STEP=0
STORY_TIMES=()
STORY_FAILED_AT=
STORY_FIRST_LAB=

if [ "${STORY_PRETTY:-0}" = 1 ] && [ -t 1 ]; then
    C_STEP=$'\e[1;36m' C_CMD=$'\e[33m' C_OK=$'\e[32m' C_BAD=$'\e[1;31m' C_DIM=$'\e[2m' C_END=$'\e[0m'
else
    C_STEP='' C_CMD='' C_OK='' C_BAD='' C_DIM='' C_END=''
fi

now_ms() { echo $(($(date +%s%N) / 1000000)); }
seconds_since() { awk -v a="$1" -v b="$(now_ms)" 'BEGIN { printf "%.1f", (b - a) / 1000 }'; }

# step TITLE: begins a step of the story.
step() {
    STORY_STEP=$((STORY_STEP + 1))
    STORY_TITLE=$1
    printf '\n%s== %s%s\n' "$C_STEP" "$1" "$C_END"
}

# say TEXT: what was seen.
say() { printf '   %s\n' "$*"; }

# figure NAME VALUE UNIT: a figure for the table at the end.
figure() {
    STORY_TIMES+=("$1|$2|$3")
    printf '   %s%s: %s %s%s\n' "$C_DIM" "$1" "$2" "$3" "$C_END"
}

# pings WHAT HOST: the end of a ping at 10 ms; more than ten lost fail the story.
pings() {
    local report
    report=$(quiet_lab ping-report "$2" --max-lost 10) || fail "$1: $report"
    say "$report"
    local lost=${report#*lost=} sent=${report#*sent=}
    figure "$1, pings at 10 ms lost" "${lost%% *}" "of ${sent%% *}"
}

ok() { printf '   %sok%s   %s\n' "$C_OK" "$C_END" "$*"; }

fail() {
    printf '   %sNOT SO%s  %s\n' "$C_BAD" "$C_END" "$*" >&2
    STORY_FAILED_AT="$STORY_TITLE: $*"
    exit 1
}

# lab ARGS...: a muster-lab command, shown as it would be typed.
lab() {
    printf '   %s$ muster-lab %s%s\n' "$C_CMD" "$*" "$C_END"
    "$LAB_BIN" "$1" --dir "$LAB_DIR" "${@:2}"
}

# quiet_lab ARGS...: the same, not shown; for looking at things.
quiet_lab() { "$LAB_BIN" "$1" --dir "$LAB_DIR" "${@:2}"; }

# second_lab: what follows is about another lab beside the first, in the folder LAB_DIR-second; first_lab: it is removed,
# and what follows is about the first again.
second_lab() { STORY_FIRST_LAB=$LAB_DIR LAB_DIR=$LAB_DIR-second; }
first_lab() {
    quiet_lab down >/dev/null 2>&1 || true
    LAB_DIR=$STORY_FIRST_LAB STORY_FIRST_LAB=
}

# xe ARGS...: an xe command at the admin desk, shown as it would be typed.
xe() {
    printf '   %s$ xe %s%s\n' "$C_CMD" "$*" "$C_END" >&2
    quiet_lab xe -- "$@"
}

# ask ARGS...: an xe command that is not shown.
ask() { quiet_lab xe -- "$@" 2>/dev/null; }

# host_xe HOST ARGS...: xe on the host itself (its local socket).
host_xe() { quiet_lab exec "$1" -- xe "${@:2}"; }

# until_true SECONDS WHAT COMMAND...: polls a fact until it holds; fails the story at the deadline.
until_true() {
    local limit=$1 what=$2 start
    shift 2
    start=$(now_ms)
    until "$@" >/dev/null 2>&1; do
        if [ $(($(now_ms) - start)) -gt $((limit * 1000)) ]; then
            fail "$what (waited ${limit} s)"
        fi
        sleep 0.1
    done
    ok "$what (after $(seconds_since "$start") s)"
}

# expect WHAT COMMAND...: a fact that must hold now.
expect() {
    local what=$1
    shift
    if "$@" >/dev/null 2>&1; then ok "$what"; else fail "$what"; fi
}

# expect_text WHAT PATTERN TEXT: an extended regular expression that must match.
expect_text() {
    if grep -Eq -- "$2" <<<"$3"; then ok "$1"; else fail "$1 (no match for '$2' in: $3)"; fi
}

# lacks_words TEXT WORD...: prints the words that the text does not have; true when there is one.
lacks_words() {
    local text=$1 word lacking=()
    shift
    for word in "$@"; do grep -qF -- "$word" <<<"$text" || lacking+=("'$word'"); done
    [ ${#lacking[@]} -gt 0 ] && printf '%s\n' "${lacking[*]}"
}

# expect_words WHAT TEXT WORD...: a text that must have each of these words, as they stand.
expect_words() {
    local what=$1 text=$2 lacking
    shift 2
    if lacking=$(lacks_words "$text" "$@"); then fail "$what (it lacks $lacking: $text)"; else ok "$what"; fi
}

host_uuid() { ask host-list name-label="$1" --minimal; }
host_state() { ask host-param-get uuid="$(host_uuid "$1")" param-name=membership-state; }
# What the pool says of it: one question, for stories ask it often and on busy machines.
host_is_ready() {
    local seen
    seen=$(ask host-list name-label="$1" params=membership-state,host-metrics-live)
    grep -Eq 'membership-state .*: ready(-size-limited)?$' <<<"$seen" && grep -Eq 'host-metrics-live .*: true$' <<<"$seen"
}
host_is_dead() { [ "$(ask host-list name-label="$1" params=host-metrics-live --minimal)" = false ]; }

# The state that the host's own daemon tells: what the pool has of a host that restarts, and what its log ends with, is for
# a moment the state it was in before.
own_state() { quiet_lab exec "$1" -- xe host-list name-label="$1" params=membership-state --minimal 2>/dev/null; }

# came_up_limited HOST: after its last start it was never 'ready' before it was 'ready-size-limited'.
# shellcheck disable=SC2016
came_up_limited() {
    [ "$(quiet_lab exec "$1" -- awk '/: musterd is up/ { s = "" } /goes from .proving. to / && s == "" { split($0, w, "\047"); s = w[4] } END { print s }' /var/log/musterd.log)" = ready-size-limited ]
}

# times_left_ready HOST: how often its daemon left the state 'ready' (or 'ready-size-limited'), as its log tells. A log
# that tells of no way to 'ready' is not one to count in. A power cut may leave zeros in it.
times_left_ready() {
    local log
    log=$(quiet_lab exec "$1" -- grep -aE "this host goes from '" /var/log/musterd.log || true)
    if ! grep -Eq "to 'ready(-size-limited)?'" <<<"$log"; then
        echo "the log of $1 does not say how it became ready"
        return 1
    fi
    grep -Ec "goes from 'ready(-size-limited)?' to '(netboot|contacting|syncing|emergency)" <<<"$log" || true
}

# wait_ready SECONDS HOST...: each host is ready again, by its own word and by the pool's; prints how long each took.
wait_ready() {
    local limit=$1 start h state
    shift
    start=$(now_ms)
    for h in "$@"; do
        until state=$(own_state "$h") && [[ $state == ready* ]] && host_is_ready "$h"; do
            if [ $(($(now_ms) - start)) -gt $((limit * 1000)) ]; then
                fail "host '$h' is ready (waited $limit s; state '$(host_state "$h" || true)', by its own word '$state')"
            fi
            sleep 0.2
        done
        ok "host '$h' is $state after $(seconds_since "$start") s"
    done
}

# table: the hosts of the pool, for people.
hosts_table() {
    local row='   %-6s %-16s %-5s %-20s %s\n'
    # shellcheck disable=SC2059
    printf "$row" HOST ADDRESS LIVE STATE REASON
    ask host-list params=name-label,address,membership-state,membership-reason,host-metrics-live |
        awk -v row="$row" '
            function told() { if (f["name-label"]) printf row, f["name-label"], f["address"], f["host-metrics-live"], f["membership-state"], f["membership-reason"]; delete f }
            NF == 0 { told() }
            match($0, /\( ?R[OW]\) *: /) { k = $1; f[k] = substr($0, RSTART + RLENGTH) }
            END { told() }' | sort -V || true
}

# how_it_stands: where each host of the lab is and how it got there, for who reads only the end of what a story printed.
how_it_stands() {
    local h
    printf '\nHow the lab stands\n'
    quiet_lab status 2>&1 | cut -c1-130
    for h in h1 h2 h3 h4; do
        {
            quiet_lab exec "$h" -- grep -aE "goes from '|musterd is up|^[^ ]* [^ ]* (err|crit)" /var/log/musterd.log
            grep -aE 'was ended by|ended with|: (on|off|stopping): ' "$LAB_DIR/log/$h.log" | tail -n 3
        } 2>/dev/null | tail -n 6 | cut -c1-150
    done
}

story_end() {
    local status=$?
    [ $status -eq 0 ] || how_it_stands || true
    if [ -n "$STORY_FIRST_LAB" ]; then
        [ $status -eq 0 ] || [ -z "${STORY_LOGS:-}" ] || { mkdir -p "$STORY_LOGS" && quiet_lab logs --all >"$STORY_LOGS/second.log" 2>&1; }
        first_lab
    fi
    if [ $status -ne 0 ]; then
        printf '\n%sThe story does not hold.%s %s\n' "$C_BAD" "$C_END" "${STORY_FAILED_AT:-a command failed in step: ${STORY_TITLE:-start}}"
        printf 'Logs of the hosts: muster-lab logs HOST --dir %s\n' "$LAB_DIR"
    else
        if [ ${#STORY_TIMES[@]} -gt 0 ]; then
            printf '\n%sFigures%s\n' "$C_STEP" "$C_END"
            local f
            for f in "${STORY_TIMES[@]}"; do
                IFS='|' read -r name value unit <<<"$f"
                printf '  %-60s %10s %s\n' "$name" "$value" "$unit"
            done
        fi
        printf '\n%sThe story holds: %d steps in %s s.%s\n' "$C_OK" "$STORY_STEP" "$(seconds_since $((STORY_START / 1000000)))" "$C_END"
    fi
}
trap story_end EXIT
# Cut off, a story does not hold: without these the status would be that of the last command.
trap 'exit 130' INT
trap 'exit 143' TERM
