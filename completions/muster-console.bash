# SPDX-License-Identifier: Apache-2.0
# bash completion of muster-console: options, and the names of its screens.
# shellcheck shell=bash

_muster_console() {
    local cur=${COMP_WORDS[COMP_CWORD]} words='--dump --width --help --version'
    case ${COMP_WORDS[COMP_CWORD - 1]} in
        --dump) words=$("${COMP_WORDS[0]}" --help 2>/dev/null | sed -n '/^screens:/,/^$/s/^  \([a-z]*\).*/\1/p') ;;
        --width) words='' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _muster_console muster-console
