/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugins and extensions: programs that other software drops onto a host for clients to call. None is looked for, so
 * the host has none, and clients get the answers by which they recognise that.
 */
#include "api/call.h"
#include "gen_handlers.h"

void host_call_plugin(struct call *c) {
    if (call_arg_row(c, 0))
        call_fail_code(c, ERR_XENAPI_MISSING_PLUGIN, call_arg_str(c, 1), NULL);
}

void host_call_extension(struct call *c) {
    if (call_arg_row(c, 0))
        call_fail_code(c, ERR_MESSAGE_METHOD_UNKNOWN, call_arg_str(c, 1), NULL);
}

void host_has_extension(struct call *c) {
    if (call_arg_row(c, 0))
        call_return(c, value_bool(false));
}

void pool_has_extension(struct call *c) {
    if (call_arg_row(c, 0))
        call_return(c, value_bool(false));
}
