# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of xe: commands, the names of their parameters, and uuids where a uuid is wanted (asked of the pool, with the options already typed).

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
        mapfile -t COMPREPLY < <(compgen -W "$(xe help --minimal 2>/dev/null | tr ',' ' ')" -- "$cur")
        return
    fi
    local previous=${COMP_WORDS[COMP_CWORD - 1]}
    if [ "$previous" = '=' ] && [ "$COMP_CWORD" -ge 2 ]; then previous=${COMP_WORDS[COMP_CWORD - 2]}; fi
    # The class that a uuid is of: that of the command, or what stands before -uuid; the longest name that has a list.
    local class='' commands
    case $previous in
        uuid) class=${command%%-param-*} ;;
        *-uuid | *-uuids) class=${previous%-uuid*} ;;
    esac
    if [ -n "$class" ]; then
        commands=",$(xe help --minimal 2>/dev/null),"
        while [[ $commands != *",$class-list,"* && $class == *-* ]]; do
            if [ "$previous" = uuid ]; then class=${class%-*}; else class=${class#*-}; fi
        done
        if [[ $commands != *",$class-list,"* ]]; then class=''; fi
    fi
    if [ -n "$class" ] && [ "${COMP_WORDS[COMP_CWORD - 1]}" = '=' ] || [ -n "$class" ] && [ "$cur" = '' ] && [ "${COMP_WORDS[COMP_CWORD]}" = '=' ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(xe "$class-list" params=uuid --minimal 2>/dev/null | tr ',' ' ')" -- "$cur")
        return
    fi
    local names
    names=$(xe help "$command" --minimal 2>/dev/null | tr ',' ' ')
    local changes=''
    case $command in
        network-param-set | bond-* | vlan-* | pif-* | *-management-reconfigure | pool-vlan-create | network-config-apply | network-change-undo | host-network-repair*)
            changes='--dry-run --prove --confirm --checkpoint= --probes='
            ;;
    esac
    compopt -o nospace 2>/dev/null || true
    mapfile -t COMPREPLY < <(compgen -W "$names --minimal --multiple --force $changes" -- "$cur")
}
complete -F _xe xe
