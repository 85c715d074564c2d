/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the sections of a network file, their defaults, and the one form in which a value is kept. Pure. */
#pragma once

#include "classes/net_file.h"
#include "net/net_types.h"

struct net_key_def {
    const char *name;
    const char *fallback; /* when it is not there */
    const char *form;     /* "a number from 576 to 65535" */
    char *(*normal)(const char *text);
    unsigned kinds; /* bits of enum net_section_kind */
    bool is_given;  /* the host says it; a file may only repeat it */
};

const struct net_key_def *net_key_def(enum net_section_kind kind, const char *name); /* NULL: no such key */
const struct net_key_def *net_key_at(enum net_section_kind kind, unsigned i); /* the i-th; NULL behind the last */
const char *net_key_names(enum net_section_kind kind);                        /* "name, mtu, description" */
/* The value as it is compared and kept; NULL when it has another form. The caller owns it. */
char *net_key_normal(const struct net_key_def *def, const char *text);

/* "static 10.0.0.1/24 gateway 10.0.0.254", "dhcp", "autoconf", "none". */
struct net_file_ip {
    enum net_ip_mode_word { NET_WORD_NONE, NET_WORD_STATIC, NET_WORD_DHCP, NET_WORD_AUTOCONF } mode;
    struct net_addr address, gateway; /* static; family none when there is none */
};
bool net_file_ip_parse(const char *text, enum net_family family, struct net_file_ip *ret) _warn_unused_;
char *net_file_ip_text(const struct net_file_ip *ip);
