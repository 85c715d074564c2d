/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool's network as one file that people read, compare and edit:
 *
 *   [network xapi0]               a network, by its bridge
 *   name = management
 *   mtu = 9000
 *
 *   [nic h1 eth0]                 an interface of a host: nic HOST NIC, bond HOST BOND, vlan HOST NIC-OR-BOND TAG
 *   network = xenbr0
 *   ipv4 = static 10.0.0.1/24 gateway 10.0.0.254
 *
 * A # begins a comment at the start of a line; names with blanks stand in "quotes". What a section does not say is at
 * its default. docs/network-config.md lists the keys. A struct net_file is such a text, or the pool's rows in the same
 * form, so both are compared key by key. Pure; any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define NET_FILE_MAX_SIZE (1024 * 1024)
#define NET_FILE_MAX_SECTIONS 8192
#define NET_FILE_MAX_KEYS 16 /* of a section */
#define NET_FILE_MAX_WORDS 3

enum net_section_kind { NET_SECTION_NETWORK, NET_SECTION_NIC, NET_SECTION_BOND, NET_SECTION_VLAN };

struct net_key {
    const char *name; /* static text */
    char *value;
    int line;
};

struct net_section {
    enum net_section_kind kind;
    char *words[NET_FILE_MAX_WORDS]; /* network: bridge; nic, bond: host, device; vlan: host, device, tag */
    int line;                        /* 0: not from a file */
    struct net_key keys[NET_FILE_MAX_KEYS];
    unsigned n_keys;
};

struct net_file {
    struct net_section *sections;
    size_t n;
};

void net_file_done(struct net_file *f);
#define _cleanup_net_file_ _cleanup_(net_file_done)

/* False with NETWORK_CONFIG_INVALID [line, what]: unknown sections and keys, twice the same, values of a wrong form. */
bool net_file_parse(const char *text, struct net_file *ret, struct error **errp) _warn_unused_;
/* The text form; `comment` may be NULL. The caller owns it. */
char *net_file_text(const struct net_file *f, const char *comment);

/* A section more; the pointer is good until the next. Words are copied. */
struct net_section *net_file_add(struct net_file *f, enum net_section_kind kind, const char *word1, const char *word2,
                                 const char *word3);
/* Sets a key that this kind has and that is not set yet; a value at its default is left out. */
void net_section_set(struct net_section *s, const char *name, const char *value);
/* The same, in place of what it had. */
void net_section_replace(struct net_section *s, const char *name, const char *value);
/* The value, or the default: never NULL for a key that this kind has. */
const char *net_section_get(const struct net_section *s, const char *name);
int net_section_line(const struct net_section *s, const char *name); /* of the key, or of the section */
const struct net_section *net_file_find(const struct net_file *f, enum net_section_kind kind, const char *word1,
                                        const char *word2, const char *word3);
char *net_section_title(const struct net_section *s); /* "bond h1 bond0"; the caller owns it */
const char *net_section_word(const struct net_section *s, unsigned i);

/* From one to the other, a line each: what comes, what goes, what becomes what (with the line of the file). */
char *net_file_diff(const struct net_file *from, const struct net_file *to);
/*
 * Whether such a section goes when `to` does not have it: a host that `to` does not name is left as it is, and a NIC is
 * there whether a file names it or not. It does not look whether `to` has the section.
 */
bool net_file_covers(const struct net_file *to, const struct net_section *s);

bool net_file_fail(struct error **errp, int line, const char *fmt, ...) _printf_(3, 4);
