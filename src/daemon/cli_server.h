/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /cli: the thin command line client of XenServer. It sends what was typed; the command runs here, as our own xe
 * with the local socket, and what that prints goes back (wire/thin_cli.h). Loop thread.
 *
 * xe on the local socket is root. For a user who is not, it is given a session of the user, on its standard input, and
 * may do what the user may. Files are the client's affair in this protocol, so
 * parameters that name one are refused here: they would mean files of this host.
 */
#pragma once

#include "daemon/daemon.h"

#define CLI_SESSIONS_MAX 32
#define CLI_COMMAND_MS (60 * 60 * 1000)
#define CLI_OUTPUT_MAX (16u * 1024 * 1024)

struct cli_server;
struct cli_server *cli_server_new(struct daemon *d);
/* After the HTTP server has gone, and after the worker has ended. */
void cli_server_free(struct cli_server *cs);
