/* SPDX-License-Identifier: Apache-2.0 */
/* One request to libvirt, from looking up the domain to what became of it. */
#include <libvirt/virterror.h>
#include <time.h>

#include "base/str.h"
#include "model/model.h"
#include "virt/virt_private.h"
#include "virt/virt_xml_core.h"

#define DETACH_MS 20000
#define DETACH_STEP_MS 100

static void domain_freep(virDomainPtr *d) {
    if (*d)
        (void)virDomainFree(*d);
}
#define _cleanup_domain_ _cleanup_(domain_freep)

/* What a client is told: that the VM does not run, or libvirt's own words. */
static bool fail(const struct virt_request *r, struct error **errp) {
    char uuid[UUID_TEXT_SIZE], ref[REF_TEXT_SIZE];
    const char *text = str_or_empty(virGetLastErrorMessage());
    if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN || virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID)
        error_set(errp, ERR_VM_BAD_POWER_STATE, ref_text(&r->vm, ref), "running", "halted", NULL);
    else if (r->op == VIRT_START || r->op == VIRT_RESTORE)
        error_set(errp, ERR_DOMAIN_BUILDER_ERROR, r->op == VIRT_START ? "start" : "restore", uuid_text(&r->vm, uuid),
                  text, NULL);
    else
        error_internal(errp, "the hypervisor refused: %s", text);
    error_wrap(errp, "VM '%s': %s", uuid_text(&r->vm, uuid), text);
    return false;
}

static bool describe(virDomainPtr d, struct virt_domain *ret) {
    char text[VIR_UUID_STRING_BUFLEN];
    virDomainInfo info;
    *ret = (struct virt_domain){0};
    if (virDomainGetUUIDString(d, text) < 0 || !uuid_parse(text, &ret->uuid) || virDomainGetInfo(d, &info) < 0 ||
        info.state == VIR_DOMAIN_SHUTOFF) {
        ret->uuid = (struct uuid){0};
        return false; /* it has ended meanwhile */
    }
    ret->id = (int)virDomainGetID(d);
    ret->state = info.state == VIR_DOMAIN_PAUSED || info.state == VIR_DOMAIN_PMSUSPENDED ? VIRT_PAUSED : VIRT_RUNNING;
    ret->is_dying = info.state == VIR_DOMAIN_SHUTDOWN;
    int state = 0, reason = 0;
    if (ret->state == VIRT_PAUSED && virDomainGetState(d, &state, &reason, 0) == 0)
        ret->is_arriving = state == VIR_DOMAIN_PAUSED &&
                           (reason == VIR_DOMAIN_PAUSED_MIGRATION || reason == VIR_DOMAIN_PAUSED_STARTING_UP);
    ret->memory = (int64_t)info.memory * 1024;
    ret->n_vcpus = info.nrVirtCpu;
    return true;
}

/* libvirt says that the guest was asked; whether it has let go shows in what the domain has. */
static bool detach(virDomainPtr d, const struct virt_request *r, struct error **errp) {
    if (virDomainDetachDeviceFlags(d, r->xml, VIR_DOMAIN_AFFECT_LIVE) < 0)
        return fail(r, errp);
    for (int waited = 0; r->path && waited < DETACH_MS; waited += DETACH_STEP_MS) {
        char *xml = virDomainGetXMLDesc(d, 0);
        bool is_there = xml && strstr(xml, r->path);
        free(xml);
        if (!is_there)
            return true;
        struct timespec step = {.tv_nsec = DETACH_STEP_MS * 1000000L};
        (void)nanosleep(&step, NULL);
    }
    if (!r->path)
        return true;
    error_set(errp, ERR_DEVICE_DETACH_TIMEOUT, "device", r->path, NULL);
    return false;
}

/* Well also when it has no such interface any more. */
static int set_link(virDomainPtr d, const struct virt_request *r) {
    char *xml = virDomainGetXMLDesc(d, 0);
    char *nic = xml ? virt_xml_link(xml, r->path, /* up= */ !r->paused) : NULL;
    int n = !xml ? -1 : nic ? virDomainUpdateDeviceFlags(d, nic, VIR_DOMAIN_AFFECT_LIVE) : 0;
    free(xml);
    free(nic);
    return n;
}

/* libvirt keeps nothing of it: the pool's rows say which images belong together. */
static int take_snapshot(virDomainPtr d, const struct virt_request *r) {
    unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA | VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT |
                     VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | (r->path ? 0 : VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY);
    virDomainSnapshotPtr s = virDomainSnapshotCreateXML(d, r->xml, flags);
    if (!s)
        return -1;
    (void)virDomainSnapshotFree(s);
    return 0;
}

/* The VM as it was when its memory was written, with its disks where they are now. */
static bool restore(virConnectPtr conn, const struct virt_request *r, struct error **errp) {
    unsigned flags = r->paused ? VIR_DOMAIN_SAVE_PAUSED : VIR_DOMAIN_SAVE_RUNNING;
    if (!r->xml) /* a pipe, which is read once: what it begins with is ours */
        return virDomainRestoreFlags(conn, r->path, NULL, flags) >= 0 || fail(r, errp);
    char *saved = virDomainSaveImageGetXMLDesc(conn, r->path, VIR_DOMAIN_SAVE_IMAGE_XML_SECURE);
    char *xml = saved ? virt_xml_refit(saved, r->xml) : NULL;
    bool ok = saved && virDomainRestoreFlags(conn, r->path, xml, flags) >= 0;
    if (!ok)
        (void)fail(r, errp);
    free(saved);
    free(xml);
    return ok;
}

static int run_on(virDomainPtr d, const struct virt_request *r) {
    switch (r->op) {
    case VIRT_SAVE:
        return virDomainSaveFlags(d, r->path, /* dxml= */ NULL, 0);
    case VIRT_PAUSE:
        return virDomainSuspend(d);
    case VIRT_UNPAUSE:
        return virDomainResume(d);
    case VIRT_SHUTDOWN:
        return virDomainShutdownFlags(d, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);
    case VIRT_REBOOT:
        return virDomainReboot(d, VIR_DOMAIN_REBOOT_ACPI_POWER_BTN);
    case VIRT_RESET:
        return virDomainReset(d, 0);
    case VIRT_DESTROY:
        return virDomainDestroy(d);
    case VIRT_ATTACH:
        return virDomainAttachDeviceFlags(d, r->xml, VIR_DOMAIN_AFFECT_LIVE);
    case VIRT_LINK:
        return set_link(d, r);
    case VIRT_SNAPSHOT:
        return take_snapshot(d, r);
    case VIRT_UPDATE:
        return virDomainUpdateDeviceFlags(d, r->xml, VIR_DOMAIN_AFFECT_LIVE);
    default:
        return -1;
    }
}

bool virt_request_run(virConnectPtr conn, const struct virt_request *r, struct virt_domain *ret, struct error **errp) {
    char uuid[UUID_TEXT_SIZE];
    _cleanup_domain_ virDomainPtr d = NULL;
    *ret = (struct virt_domain){0};
    virResetLastError();
    if (r->op == VIRT_START) {
        d = virDomainCreateXML(conn, r->xml, r->paused ? VIR_DOMAIN_START_PAUSED : 0);
        if (!d)
            return fail(r, errp);
        (void)describe(d, ret);
        return true;
    }
    if (r->op == VIRT_RESTORE && !restore(conn, r, errp))
        return false;
    d = virDomainLookupByUUIDString(conn, uuid_text(&r->vm, uuid));
    if (!d && r->op == VIRT_DESTROY && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
        return true;
    if (!d)
        return fail(r, errp);
    if (r->op == VIRT_DETACH && !detach(d, r, errp))
        return false;
    if (r->op != VIRT_DETACH && r->op != VIRT_RESTORE && run_on(d, r) < 0)
        return (r->op == VIRT_DESTROY && virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID) || fail(r, errp);
    if (r->op != VIRT_DESTROY && r->op != VIRT_SAVE)
        (void)describe(d, ret);
    return true;
}

bool virt_list_run(virConnectPtr conn, struct virt_domain **ret, size_t *ret_n, struct error **errp) {
    virDomainPtr *domains = NULL;
    int n = virConnectListAllDomains(conn, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    if (n < 0) {
        error_internal(errp, "the hypervisor did not list its VMs: %s", str_or_empty(virGetLastErrorMessage()));
        return false;
    }
    struct virt_domain *list = xcalloc((size_t)n + 1, sizeof(*list));
    size_t n_list = 0;
    for (int i = 0; i < n; i++) {
        if (n_list < VIRT_DOMAINS_MAX && describe(domains[i], &list[n_list]))
            n_list++;
        (void)virDomainFree(domains[i]);
    }
    free(domains);
    *ret = list;
    *ret_n = n_list;
    return true;
}

/* ---- what the agent inside a guest says; its texts are a stranger's ---- */

#define AGENT_S 5
#define FACTS_MAX 512
#define FACT_MAX 256 /* characters */

static void put_fact(struct value *facts, const virTypedParameter *p) {
    char text[FACT_MAX + 1];
    switch (p->type) {
    case VIR_TYPED_PARAM_STRING:
        str_copy(text, sizeof(text), str_or_empty(p->value.s));
        if (str_is_utf8(text, strlen(text)))
            value_map_put(facts, p->field, value_string(text));
        break;
    case VIR_TYPED_PARAM_UINT:
        value_map_put(facts, p->field, value_int(p->value.ui));
        break;
    case VIR_TYPED_PARAM_INT:
        value_map_put(facts, p->field, value_int(p->value.i));
        break;
    default:
        break;
    }
}

bool virt_guest_run(virConnectPtr conn, const struct uuid *vm, struct value *ret, struct error **errp) {
    char uuid[UUID_TEXT_SIZE];
    _cleanup_domain_ virDomainPtr d = virDomainLookupByUUIDString(conn, uuid_text(vm, uuid));
    virTypedParameterPtr params = NULL;
    int n = 0;
    /* Whatever of it the agent knows: those that it does not are left out. */
    if (!d || virDomainAgentSetResponseTimeout(d, AGENT_S, 0) < 0 || virDomainGetGuestInfo(d, 0, &params, &n, 0) < 0) {
        error_internal(errp, "no guest agent: %s", str_or_empty(virGetLastErrorMessage()));
        return false;
    }
    struct value facts = value_map();
    for (int i = 0; i < n && i < FACTS_MAX; i++)
        put_fact(&facts, &params[i]);
    virTypedParamsFree(params, n);
    *ret = facts;
    return true;
}
