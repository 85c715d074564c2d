# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
no=00000000-0000-0000-0000-000000000000
t() {
    echo "\$ $*"
    timeout 30 "$@" </dev/null 2>&1
    echo "[$?]"
}
t xe hots-list
t xe host-list stray
t xe host-list params=bogus
t xe host-list bogus=1
t xe host-list uuid=$no
t xe host-list --minimal params=name-label
t xe host-list name-label=h1 params=name-label,enabled
t xe host-list --nonsense
t xe pif-list host-name-label=h1 device=eth0 params=device,VLAN
t xe host-param-get
t xe host-param-get uuid=$no
t xe host-param-get uuid=$no param-name=name-label
t xe host-param-set uuid=$no name-label=x
t xe bond-create
t xe bond-create network-uuid=$no
t xe vlan-create
t xe network-create
t xe pool-join
t xe pool-eject
t xe pif-reconfigure-ip uuid=$no mode=static
t xe event-wait class=bogus
t xe -s
t xe -p
t xe -p zero host-list
t xe help bond-creat
t xe help bond-create
t xe vm-list params=name-label,power-state,is-control-domain
t xe vm-list is-control-domain=false
control=$(xe host-list name-label=h1 params=control-domain-uuid --minimal)
t xe vm-param-get uuid="$control" param-name=dom-id | sed "s/$control/CONTROL/"
t xe vm-param-set uuid="$control" is-a-template=true | sed "s/$control/CONTROL/"
t xe template-list
t xe snapshot-list --minimal
t xe vm-list params=bogus
t xe sr-list params=host
t xe vdi-param-list uuid=$no
t xe vbd-param-get uuid=$no param-name=device
t xe vif-list network-name-label=nothing
t xe pbd-list
t xe sm-list
t xe console-list
t xe secret-list
t xe appliance-list
t xe cluster-list
t xe feature-list
t xe network-sriov-list
t xe host-crashdump-list
# What varies is written in capitals.
t xe role-list
t xe subject-add
t xe subject-add subject-name=nobody-of-this-name
t xe subject-add subject-name=root
subject=$(xe subject-add subject-name=daemon)
t xe subject-add subject-name=user:daemon
t xe subject-role-add uuid="$subject"
t xe subject-role-add uuid="$subject" role-name=vm-operators
t xe subject-role-add uuid="$subject" role-name=vm-operator role-uuid="$subject"
t xe subject-role-remove uuid="$subject" role-name=vm-operator
t xe subject-role-add uuid="$subject" role-name=vm-operator
t xe subject-role-add uuid="$subject" role-name=read-only
t xe subject-role-add uuid="$subject" role-name=read-only
t xe subject-role-remove uuid="$subject" role-name=vm-operator
t xe subject-list
t xe subject-list roles:contains=read-only --minimal
t xe session-subject-identifier-list
t xe session-subject-identifier-logout
t xe subject-remove
t xe subject-remove subject-uuid="$subject"
t xe subject-list
t xe secret-create
secret=$(xe secret-create value='hush, or not')
t xe secret-list | sed "s/$secret/SECRET/"
t xe secret-param-get uuid="$secret" param-name=value | sed "s/$secret/SECRET/"
t xe secret-param-set uuid="$secret" value='hush!' | sed "s/$secret/SECRET/"
t grep -c hush /var/log/musterd.log
t grep -c 'secret.set_value .* value=(hidden): done' /var/log/musterd.log
t xe secret-destroy uuid="$secret" | sed "s/$secret/SECRET/"
t xe secret-destroy uuid=$no
appliance=$(xe appliance-create name-label=shop)
t xe appliance-list params=name-label,VMs,allowed-operations
t xe appliance-start uuid="$appliance" paused=perhaps | sed "s/$appliance/APPLIANCE/"
t xe appliance-start uuid="$appliance" | sed "s/$appliance/APPLIANCE/"
t xe vm-param-set uuid="$control" appliance="$appliance" order=2 | sed "s/$control/CONTROL/; s/$appliance/APPLIANCE/"
t xe appliance-param-get uuid="$appliance" param-name=VMs | sed "s/$control/CONTROL/; s/$appliance/APPLIANCE/"
t xe appliance-destroy uuid="$appliance" | sed "s/$appliance/APPLIANCE/"
t xe vm-param-get uuid="$control" param-name=appliance | sed "s/$control/CONTROL/"
t xe sr-create name-label=x
t xe sr-create name-label=x type=nfs host-uuid=$no device-config:server=10.0.0.1
t xe sr-create name-label=x type=nfs host-uuid=$no nonsense=1
t xe sr-create name-label=x type=nfs host-uuid="$(xe host-list name-label=h1 --minimal)" device-config:server=10.0.0.1 | sed 's/host-uuid=[0-9a-f-]*/host-uuid=H1/'
t xe pbd-plug uuid=$no
t xe tunnel-create network-uuid=$no pif-uuid=$no protocol=pigeon
t xe repository-introduce name-label=a binary-url=b source-url=c update=perhaps
t xe help sr-create
t xe help vm-list --minimal
h1=$(xe host-list name-label=h1 --minimal)
t xe host-evacuate host=h1
t xe host-evacuate host=h1 batch-size=many
t xe host-call-plugin host-uuid="$h1" plugin=updater.py fn=list args:a=b | sed "s/$h1/H1/"
t xe host-param-get uuid="$h1" param-name=resident-vms | sed "s/$h1/H1/; s/$control/CONTROL/"
