# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of muster-netboot and xe-reset-networking: commands, their options, and the NICs that there are.

_muster_netboot_nics() {
    local name
    for name in /sys/class/net/*/device; do
        [ -e "$name" ] || continue
        name=${name%/device}
        printf '%s\n' "${name##*/}"
    done
}

_muster_netboot() {
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' word words
    local common='--probe --no-proof --confirm --seconds --dry-run'
    local reset='--device --mode --ip --netmask --gateway --dns --vlan --mtu --mode-v6 --ipv6 --gateway-v6 --master --yes --no-reboot'
    if [ "$cur" = '=' ]; then cur=''; fi
    if [ "$previous" = '=' ] && [ "$COMP_CWORD" -ge 2 ]; then previous=${COMP_WORDS[COMP_CWORD - 2]}; fi
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in
            boot | verify | init | adopt | repair | reset | rollback | rehearse | plan | show | check) command=$word ;;
        esac
    done
    if [ "${COMP_WORDS[0]##*/}" = xe-reset-networking ]; then command=xe; fi
    case $previous in
        --drop-leg | --management-on | --device)
            words=$(_muster_netboot_nics)
            ;;
        --mode) words='static dhcp' ;;
        --mode-v6) words='static dhcp autoconf none' ;;
        --set-mtu | --mtu) words='1500 9000' ;;
        --probe | --seconds | --ip | --netmask | --gateway | --dns | --vlan | --ipv6 | --gateway-v6 | --master | -m) return ;;
        *)
            case $command in
                repair) words="--set-mtu --drop-leg --management-on --last-proven $common" ;;
                reset) words="$reset --at-boot $common" ;;
                xe) words="$reset --help" ;;
                rehearse) words='--json --model-only' ;;
                '') words='boot verify init adopt repair reset rollback rehearse plan show check --state-dir --run-dir --switch-dir --resolv-conf --timeout --quiet --help --version' ;;
                *) words='' ;;
            esac
            ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _muster_netboot muster-netboot xe-reset-networking
