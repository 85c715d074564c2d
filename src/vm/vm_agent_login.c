/* SPDX-License-Identifier: Apache-2.0 */
/* Under which name this host logs in at iSCSI targets. */
#include "base/str.h"
#include "store/store_place_core.h"
#include "vm/vm_agent_private.h"

/* Made of the host's uuid, so that an array can tell hosts apart, and one host is always the same to it. */
static char *initiator_of(const struct vm_agent *a) {
    char text[UUID_TEXT_SIZE];
    return strf("iqn.2026-11.local.muster:%s", uuid_text(&a->self, text));
}

void vm_login_sign(const struct vm_agent *a, struct value *args) {
    /* A probe has no place yet. */
    if (str_eq(str_or_empty(value_map_str(args, "type")), "iscsi") ||
        store_place_is_iscsi(str_or_empty(value_map_str(args, "path"))))
        value_map_put(args, "initiator", value_string_take(initiator_of(a)));
}
