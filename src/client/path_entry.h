/* SPDX-License-Identifier: Apache-2.0 */
/* An entry of host.path_table as clients read it: "eth0>HOST-UUID/eth1@42" -> "1500/9000". Pure; any thread. */
#pragma once

#include "base/uuid.h"

struct path_entry {
    char leg[16];
    char peer[UUID_TEXT_SIZE]; /* uuid of the other host */
    char peer_leg[16];
    int vlan;           /* 0: untagged */
    int passes, wanted; /* bytes; passes 0: nothing does */
};

/* False for an entry of any other form. */
bool path_entry_parse(const char *key, const char *sizes, struct path_entry *ret) _warn_unused_;
const char *path_entry_state(int passes, int wanted); /* "proven" "limited" "dead" */
