# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of xe: commands, the names of their parameters, and uuids where a uuid is wanted (asked of the pool, with the options already typed).

_xe_classes='host pool network pif bond vlan message task'

_xe() {
    local cur=${COMP_WORDS[COMP_CWORD]} command='' word i
    if [ "$cur" = '=' ]; then cur=''; fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            -s | -u | -pw | -pwf | -p | -h) ((i++)) ;;
            -*) ;;
            *)
                command=$word
                break
                ;;
        esac
    done
    if [ -z "$command" ]; then
        mapfile -t COMPREPLY < <(compgen -W "help $(xe help 2>/dev/null | awk '/^  [a-z]/ { print $1 }') $(for c in $_xe_classes; do
            printf '%s-list %s-param-list %s-param-get %s-param-set %s-param-add %s-param-remove %s-param-clear ' "$c" "$c" "$c" "$c" "$c" "$c" "$c"
        done)" -- "$cur")
        return
    fi
    local previous=${COMP_WORDS[COMP_CWORD - 1]}
    if [ "$previous" = '=' ] && [ "$COMP_CWORD" -ge 2 ]; then previous=${COMP_WORDS[COMP_CWORD - 2]}; fi
    local class=${command%%-*}
    case $previous in
        *host-uuid) class=host ;;
        *network-uuid) class=network ;;
        *pif-uuid | *pif-uuids) class=pif ;;
        uuid) ;;
        *) class='' ;;
    esac
    if [ -n "$class" ] && [ "${COMP_WORDS[COMP_CWORD - 1]}" = '=' ] || [ -n "$class" ] && [ "$cur" = '' ] && [ "${COMP_WORDS[COMP_CWORD]}" = '=' ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(xe "$class-list" params=uuid --minimal 2>/dev/null | tr ',' ' ')" -- "$cur")
        return
    fi
    local names
    names=$(xe help "$command" 2>/dev/null | awk -F': ' '/params/ { gsub(",", "= ", $2); if ($2 != "") printf "%s= ", $2 }')
    case $command in
        *-list) names="params= $(xe help "${command%-list}" 2>/dev/null | sed -n 's/^Fields of [^:]*://p' | sed 's/ \([^ ]*\)/ \1=/g')" ;;
        *-param-*) names="uuid= param-name= param-key=" ;;
    esac
    compopt -o nospace 2>/dev/null || true
    mapfile -t COMPREPLY < <(compgen -W "$names --minimal --multiple --force" -- "$cur")
}
complete -F _xe xe
