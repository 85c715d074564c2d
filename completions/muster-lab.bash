# SPDX-License-Identifier: Apache-2.0
# bash completion of muster-lab: verbs, the nodes and NICs of the lab at hand, and what each verb takes.
# shellcheck shell=bash disable=SC2207

_muster_lab_words() { # a list out of the lab's topology: nodes, or the NICs of a host
    local dir=$1 what=$2 host=${3:-}
    [ -r "$dir/topology.json" ] || return 0
    command -v jq >/dev/null || return 0
    case $what in
    hosts) jq -r '.pools[].hosts[].name' "$dir/topology.json" 2>/dev/null ;;
    nics) jq -r --arg h "$host" '.pools[].hosts[] | select(.name == $h) | .nics[].name' "$dir/topology.json" 2>/dev/null ;;
    esac
}

_muster_lab() {
    local cur=${COMP_WORDS[COMP_CWORD]} dir=${MUSTER_LAB_DIR:-lab-state} verb='' i
    local -a args=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --dir)
            dir=${COMP_WORDS[i + 1]:-$dir}
            i=$((i + 1))
            ;;
        *) if [ -z "$verb" ]; then verb=${COMP_WORDS[i]}; else args+=("${COMP_WORDS[i]}"); fi ;;
        esac
    done
    COMPREPLY=()
    if [ "${COMP_WORDS[COMP_CWORD - 1]}" = --dir ] || [ "${COMP_WORDS[COMP_CWORD - 1]}" = --bin ]; then
        COMPREPLY=($(compgen -d -- "$cur"))
        return
    fi
    if [ -z "$verb" ]; then
        COMPREPLY=($(compgen -W "--dir --help $("${COMP_WORDS[0]}" --help 2>/dev/null | awk '/^  [a-z]/ {print $1}')" -- "$cur"))
        return
    fi
    local hosts nodes words=''
    hosts=$(_muster_lab_words "$dir" hosts)
    nodes="$hosts swA swB admin"
    case $verb:${#args[@]} in
    up:*) words='--hosts --nics --topology --bin --password --management --mtu --no-daemon --off --replace' ;;
    exec:0 | shell:0 | logs:0 | ping-start:0 | ping-start:1 | ping-report:0 | ping-report:1) words=$nodes ;;
    xe:0) words="-- $hosts" ;;
    logs:1) words='musterd muster-netboot ovsdb-server ovs-vswitchd lldpd hooks' ;;
    reboot:* | power-cut:* | power-on:* | power-off:*) words=$nodes ;;
    wait-ready:*) words="$hosts --timeout" ;;
    link:0 | port-mtu:0 | port-drop:0 | trunk:0 | lldp:0 | lacp:0 | hook:0 | legs-mtu:0 | disk-fill:0 | disk-free:0 | nic:1) words=$hosts ;;
    link:1 | port-mtu:1 | port-drop:1 | trunk:1 | lldp:1) words=$(_muster_lab_words "$dir" nics "${args[0]}") ;;
    nic:0) words='add remove replace move' ;;
    nic:2) words=$(_muster_lab_words "$dir" nics "${args[1]}") ;;
    nic:3 | fdb:0) words='swA swB' ;;
    link:2 | isl:0) words='up down' ;;
    link:3) words='--host-end' ;;
    port-mtu:2 | legs-mtu:1) words='1500 9000 clear' ;;
    port-mtu:3) words='--direction' ;;
    port-mtu:4) words='to-host from-host both' ;;
    port-drop:2) words='to-host from-host both clear' ;;
    trunk:2) words='all' ;;
    isl-mtu:0 | fabric-mtu:0) words='1500 clear' ;;
    lacp:1) words='on off silent speak' ;;
    lldp:2) words='on off' ;;
    dhcp:0) words='on off' ;;
    dhcp:*) words='--lease' ;;
    hook:1) words='before-netboot after-netboot before-musterd' ;;
    legs-mtu:*) words='--nics --at-boot --every-boot' ;;
    ping-report:*) words='--max-lost' ;;
    vms:0) words='listen --since --max-gap --max-lost' ;;
    vms:*) words='--since --max-gap --max-lost' ;;
    esac
    case $cur:$verb in
    -*:exec | -*:xe | -*:hook) [ ${#args[@]} -gt 0 ] || words+=' --dir --help' ;;
    -*) words+=' --dir --help' ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _muster_lab muster-lab
