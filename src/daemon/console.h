/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /console: the screen (RFB) or the serial line of a VM as a raw two-way stream after CONNECT or GET, or as a
 * websocket. Any host of the pool takes the request; when the VM runs on another one, the stream goes on to there over
 * TLS, with the host's certificate. Loop thread.
 */
#pragma once

#include "daemon/daemon.h"

#define CONSOLES_MAX 128                  /* streams of one host at a time */
#define CONSOLES_PER_ADDRESS_MAX 32       /* of one client; another host of the pool counts as the clients behind it */
#define CONSOLE_IDLE_MS (60u * 60 * 1000) /* a screen on which nothing moves is silent */

struct consoles;

/* Registers the paths at the daemon's HTTP server. */
struct consoles *consoles_new(struct daemon *d);
/* After the HTTP server has gone, and after the worker has ended. */
void consoles_free(struct consoles *cs);
