/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of clients in place of passwords (pool.enable_client_certificate_auth): what the rows say of authorities
 * and revocation lists, and whether a connection shows a certificate that counts. When any of it changes, what was
 * opened by certificate ends; those who still may log in again. Loop thread only.
 */
#pragma once

#include "wire/http_server.h"

struct api;
struct client_certificates;
struct client_certificates *client_certificates_new(struct api *a);
void client_certificates_free(struct client_certificates *c); /* accepts NULL */
/* Whether the request's connection may log in so; *ret_ends: when its certificate is over, seconds since 1970. */
bool client_certificates_judge(struct client_certificates *c, struct http_request *req, int64_t *ret_ends);
/* The name that such certificates carry; "" when they are not asked for. */
const char *client_certificates_name(const struct client_certificates *c);
