/* SPDX-License-Identifier: Apache-2.0 */
/* Joining a pool. */
#include <string.h>

#include "tui/tui_work.h"

enum { ADDRESS, USER, PASSWORD, FINGERPRINT, N_JOIN_FIELDS };

static void join(struct tui_work *w) {
    _cleanup_(client_freep) struct client *c = tui_work_connect(w, /* is_host_only= */ false);
    struct value params[N_JOIN_FIELDS];
    _cleanup_value_ struct value nothing = {.type = VALUE_VOID};
    for (unsigned i = 0; i < N_JOIN_FIELDS; i++)
        params[i] = value_string(w->values[i]);
    w->ok = c && tui_work_call(w, c, "pool.join", params, N_JOIN_FIELDS, /* as_task= */ true, &nothing);
    explicit_bzero(params[PASSWORD].string, strlen(params[PASSWORD].string));
    for (unsigned i = 0; i < N_JOIN_FIELDS; i++)
        value_done(&params[i]);
    if (w->ok)
        tui_said_add(&w->said, TUI_GOOD,
                     "The pool has taken this host in. It takes over the pool's network and is ready soon; the status "
                     "screen shows where it stands.");
    else
        tui_said_add(&w->said, TUI_PLAIN, "The host is what it was before; nothing was changed.");
}

const struct tui_action tui_join_actions[] = {
    {.screen = "join",
     .title = "Join a pool",
     .about = "This host becomes a member of another pool. Its VMs stay; what its own pool was called is forgotten.",
     .needs = TUI_NEEDS_POOL,
     .fields = {[ADDRESS] = {.label = "Coordinator", .hint = "address of the pool's coordinator"},
                [USER] = {.label = "User", .hint = "of that pool", .initial = "root"},
                [PASSWORD] = {.label = "Password",
                              .hint = "sent only to a pool with this fingerprint",
                              .is_secret = true},
                [FINGERPRINT] = {.label = "Fingerprint",
                                 .hint = "as 'xe pool-fingerprint' or a console there says; empty only where that pool "
                                         "permits it",
                                 .may_be_empty = true}},
     .question = "Join that pool?",
     .run = join},
    {0},
};
