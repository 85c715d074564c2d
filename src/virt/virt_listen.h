/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the daemon listens for other hosts' daemons: on one address, TLS only, and only for those who have a certificate
 * of the pool. It reads address and certificates when it starts, so what it was started with is noted beside its
 * socket, and the two who need to know (muster-virtd, virt.c) make the note in the same way. Any thread.
 */
#pragma once

#include <stdbool.h>

#define VIRT_LISTEN_PORT 16514

/* What is noted; NULL when the host has no certificate yet or `address` is empty: then it does not listen. The caller
 * frees. */
char *virt_listen_mark(const char *pki_dir, const char *address);
/* Where it is noted; the caller frees. */
char *virt_listen_path(const char *run_dir);
