/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate that an administrator brings, for this host to show to clients in place of the pool's. Judged here,
 * before anything of the host changes: readable, key and certificate of one another, a key and a signature that clients
 * take, valid now, made for servers, and a chain in which each vouches for the one before. No I/O; any thread.
 */
#pragma once

#include "pool/pki.h"

#define PKI_SHOWN_MAX_CHAIN 8

/*
 * Texts are PEM, at most PKI_MAX_PEM each; `chain` may be "", and what stands behind the first one in `certificate`
 * counts as its beginning. `now`: seconds of the wall clock. True with *ret_bundle (chain and key as one PEM text with
 * a key in it; wipe and free it), or false with the API's error: SERVER_CERTIFICATE_*, CERTIFICATE_LACKS_PURPOSE.
 */
bool pki_shown_check(const char *certificate, const char *key, const char *chain, int64_t now, char **ret_bundle,
                     struct error **errp) _warn_unused_;
