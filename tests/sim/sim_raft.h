/* SPDX-License-Identifier: Apache-2.0 */
/* Between sim_server.c (one server) and sim_raft.c (what they do to each other). */
#pragma once

#include "sim_server.h"

struct entry *entry_new(uint64_t term, json_t *changes /* taken */, const struct strv *config);
void entry_unref(struct entry *e);
void file_append(struct file *f, struct entry *e /* taken */);
void file_truncate(struct file *f, size_t n);
void server_catch_up(struct server *s, const struct file *f); /* applies what is committed there */
void server_replace_state(struct server *s, const struct server *of);
void server_look_connected(struct server *s);
void server_forward(struct server *s, uint64_t now);
void server_answer(struct server *s, uint64_t waiting, json_t *result /* taken */, size_t index);
void server_drop_proposals(struct server *s);

/* The two processes are there and have a connection, made when they trusted each other's certificates. */
bool raft_link(const struct server *a, const struct server *b);
void raft_propose(struct server *leader, struct server *origin, uint64_t waiting, const json_t *params);
void raft_cut_clients(const struct server *s); /* its clients, or its voters, have to connect anew */
void raft_soon(void);                          /* something was asked: the next step comes in a moment */
