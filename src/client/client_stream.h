/* SPDX-License-Identifier: Apache-2.0 */
/* A raw two-way stream of the server (CONNECT), tied to two descriptors of the program. One thread; blocks. */
#pragma once

#include "client/client.h"

/*
 * Asks for `path` (with its query; the session is shown in a cookie) at the server of this client and carries bytes
 * both ways until the server ends it, `in` has ended, or `escape` was typed (0: none). The server must show the
 * certificate that it has shown before. `opened` (may be NULL) is called when the stream is there. False with *errp
 * when it could not be had, or broke.
 */
bool client_stream(struct client *c, const char *path, int in, int out, char escape, void (*opened)(void *userdata),
                   void *userdata, struct error **errp) _warn_unused_;
