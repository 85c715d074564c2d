# shellcheck shell=bash disable=SC2154
# Checks that name what did not hold, for every test that runs hosts. Sourced; wants $top, a folder of the test's own.
skip() {
    printf 'skipped: %s\n' "$1"
    exit 77
}

# check WHAT COMMAND...: must succeed; refuse WHAT COMMAND...: must fail.
check() {
    local what=$1
    shift
    if "$@" >"$top/out" 2>&1; then
        printf 'ok %4d s  %s\n' "$SECONDS" "$what"
    else
        printf 'NOT %3d s  %s\n     command: %s\n' "$SECONDS" "$what" "$*"
        sed 's/^/     | /' "$top/out"
        exit 1
    fi
}
refuse() {
    local what=$1
    shift
    if "$@" >"$top/out" 2>&1; then
        printf 'NOT %3d s  %s\n     this should have failed: %s\n' "$SECONDS" "$what" "$*"
        exit 1
    fi
    printf 'ok %4d s  %s\n' "$SECONDS" "$what"
}
# eventually SECONDS WHAT COMMAND...: holds within that time.
eventually() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >"$top/out" 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            check "$what" "$@"
            return
        fi
        sleep 0.1
    done
    printf 'ok %4d s  %s\n' "$SECONDS" "$what"
}
