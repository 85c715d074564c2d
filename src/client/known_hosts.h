/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of servers that were visited before, one line each: "name fingerprint", or "[name]:port fingerprint" for a
 * port other than 443. Lines that begin with # and lines that make no sense are passed over. One thread; several
 * programs may append at once.
 */
#pragma once

#include "base/error.h"
#include "wire/tls.h"

char *known_hosts_path(void); /* $XDG_CONFIG_HOME or ~/.config, then /muster/known_hosts; caller frees */
/* The latest key kept for the server, as 64 lower-case hex digits; false when there is none. */
bool known_hosts_find(const char *path, const char *server, uint16_t port,
                      char ret[static TLS_FINGERPRINT_SIZE]) _warn_unused_;
int known_hosts_add(const char *path, const char *server, uint16_t port, const char *fingerprint) _warn_unused_;
/* The same over the text of a file; for the two above and for tests. */
bool known_hosts_find_in(const char *text, const char *server, uint16_t port,
                         char ret[static TLS_FINGERPRINT_SIZE]) _warn_unused_;
