# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Typed behind completions/xe.bash: what Tab offers after these words. What varies is written in capitals.
host=$(xe host-list --minimal)
control=$(xe vm-list is-control-domain=true --minimal params=uuid)
t() {
    COMP_WORDS=(xe "$@") COMP_CWORD=$# COMPREPLY=()
    _xe 2>/dev/null
    echo "xe $*<Tab>"
    printf '  %s\n' "${COMPREPLY[@]}" | sed "s/$host/HOST/; s/$control/CONTROL/"
}
t secret-
t network-sriov-param-
t vm-param-get uuid =
t sr-create host-uuid =
t vm-destroy uuid =
t host-crashdump-destroy uuid =
t vdi-copy into-vdi-uuid =
t sr-create ''
t vif-list q
t pbd-param-add ''
