# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
t() {
    echo "\$ $*"
    timeout 30 "$@" </dev/null 2>&1 | sed -E 's/[0-9a-f]{64}/KEY/; s/after [0-9]+ ms/after N ms/'
    echo "[${PIPESTATUS[0]}]"
}
file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf 'root\nmuster\n' >"$file"
name=(--minimal params=name-label)
t xe host-list
t xe -s 10.9.0.11 -u root -pw muster host-list "${name[@]}"
t xe -s 10.9.0.11 -u root -pw wrong host-list
t xe -s 10.9.0.11 -p 81 -u root -pw muster host-list
t xe -s 10.9.0.11 -pwf /nowhere host-list
XE_SERVER=10.9.0.11 XE_PASSWORD_FILE=$file t xe host-list "${name[@]}"
export XE_SERVER=10.9.0.12 XE_USERNAME=root XE_PASSWORD=muster
t xe host-list "${name[@]}"
t xe -s 10.9.0.11 host-list "${name[@]}"
XE_EXTRA_ARGS=server=10.9.0.11 t xe host-list "${name[@]}"
XE_PASSWORD=wrong t xe host-list
