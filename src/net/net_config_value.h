/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a config as a JSON value, for the file form, the hash and the scenario files. Internal to src/net. */
#pragma once

#include "net/net_config.h"
#include "net/net_json.h"

json_t *net_config_content_value(const struct net_config *c); /* nics, bridges, management; arrays sorted by name */
/* Reads the content members and the host's own ones from j into c. */
void net_config_read(struct net_json *j, struct net_config *c);
/* Reads the member of that name, an address family's settings, into ip; absent: as it was. */
void net_config_read_ip(struct net_json *j, const char *member, enum net_family family, struct net_ip *ip);
