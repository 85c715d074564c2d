/* SPDX-License-Identifier: Apache-2.0 */
/* Storage repositories: what the hosts could use. */
#include "api/call.h"
#include "gen_handlers.h"

void sr_get_supported_types(struct call *c) {
    struct value types = value_set();
    for (const struct row *r = db_first(call_db(c), CLASS_SM); r; r = db_next(call_db(c), r)) {
        struct value type = value_string(row_str(r, FIELD_SM_type));
        if (value_set_has(&types, &type))
            value_done(&type);
        else
            value_set_add(&types, type);
    }
    call_return(c, types);
}
