/* SPDX-License-Identifier: Apache-2.0 */
/* What lies on a server, before there is an SR. Blocking; only in the helper program. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/value.h"

/* `args`: type, and for "iscsi" config, a device_config; else server, serverpath (may be missing). -> xml. Without a
 * path on the server it fails as XenServer does, with the XML of what is exported as the third parameter. */
bool store_probe(const struct value *args, struct value *ret, struct error **errp) _warn_unused_;
/* As that, for iSCSI: without a target the targets are listed, without a LUN the LUNs. */
bool store_probe_iscsi(const struct value *config, struct value *ret, struct error **errp) _warn_unused_;
void store_probe_element(struct buf *out, const char *tag, const char *text);
