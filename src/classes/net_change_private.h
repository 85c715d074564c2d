/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a network change, for net_change*.c and the calls about changes. Loop thread only. */
#pragma once

#include "classes/net_change.h"

#define HASH_TEXT_SIZE 65
#define COMMIT_MS 15000
#define NET_CHANGE_JOURNAL_KEY "network-change"
#define NET_CHANGE_HISTORY_MAX 100
#define NET_CHANGE_ID_SIZE 12

/* How a change is to be made, beyond what it is. */
struct net_options {
    bool dry_run;        /* nothing is changed; the report says what would be */
    bool prove;          /* a dry run that measures the paths, too */
    bool force;          /* goes on with what would be refused; the faults are recorded */
    bool person;         /* somebody confirms on top of the pool */
    int64_t seconds;     /* of the checkpoint; 0: as the pool has it */
    struct value probes; /* VALUE_SET of addresses that must answer; VOID: as the pool has it */
};

/* A call of pool.network_change, around the one that it runs. */
struct net_outer {
    struct call *c;
    struct net_options options;
    struct value report; /* a map of strings */
};

/* One host that is waited for. */
struct awaited {
    struct uuid host;
    char hash[HASH_TEXT_SIZE];
    char *before;    /* outcome and intent at the start: an old failure of the same try is not news */
    bool is_ignored; /* offline, or silent for too long: not waited for */
    bool is_done;
    bool is_concerned; /* it gets another configuration */
    bool is_gated;     /* its turn has not come */
    bool is_held;      /* a person is waited for */
    bool touches_management;
    char *config;      /* JSON text */
    struct value plan; /* its answer to net_plan */
};

/* A host that measures paths: any live one of the pool. */
struct measuring {
    struct uuid host;
    struct value paths;
};

struct net_changes;

struct net_change {
    struct net_changes *all;
    struct api *api;
    struct call *c;          /* held; the call that it belongs to, NULL for one that was found in the rows */
    bool is_answered;        /* the call has its answer already */
    struct net_outer *outer; /* NULL: a plain call */
    struct net_options options;
    char id[NET_CHANGE_ID_SIZE];
    char *what, *who, *diff; /* for the history; diff once it is known */
    char *faults;            /* what was known to be wrong and forced; "" */
    int64_t since;           /* wall clock, seconds */
    net_change_body_fn *body;
    enum net_change_offline offline;
    bool is_running;
    bool all_at_once;
    bool one_by_one;             /* hosts take their turns */
    bool is_lifted;              /* hosts hold legs up for it, or measure */
    struct loop_source *renewal; /* of what is lifted */
    bool is_undoing;
    bool is_written; /* its rows, and its journal, are in the database */
    struct net_ops ops;
    struct db *fork; /* the rows as they would be */
    struct awaited *hosts;
    size_t n_hosts;
    struct measuring *measuring;
    size_t n_measuring;
    unsigned n_doubted;  /* measurements that were not believed yet */
    struct value tables; /* host uuid to what it measured */
    struct value result;
    struct error *failure;
    struct db_watch *watch;
    struct loop_source *deadline;
    uint64_t after_grace_ms;             /* of one that was left behind; 0: it is known who is live */
    unsigned n_open;                     /* questions to hosts without an answer */
    void (*then)(struct net_change *ch); /* when all are answered */
    struct call *decision;               /* of network_change_confirm or _revert; kept */
    bool decision_keeps;
    bool is_over;                   /* only questions to hosts are waited for */
    struct net_change *prev, *next; /* oldest first */
};

struct net_changes { /* of one api */
    struct api *api;
    struct net_change *first, *last;
    size_t n;
    bool in_pump;
    struct net_outer *starting; /* its inner call is being dispatched */
    struct db_watch *watch;
    char resumed[NET_CHANGE_ID_SIZE]; /* the journal that was taken up last */
};

/* ---- net_change.c ---- */
struct net_changes *net_changes_of(struct api *a);
struct net_change *net_change_new(struct net_changes *all);
void net_change_end(struct net_change *ch);    /* answers the call and frees it */
void net_change_answer(struct net_change *ch); /* answers the call; the change goes on */
void net_change_progress(struct net_change *ch, double fraction);
void net_change_report(struct net_change *ch, const char *key, const char *text);
struct net_change *net_change_find(struct net_changes *all, const char *id);

/* ---- net_change_ask.c ---- */
typedef void net_change_answer_fn(struct net_change *ch, size_t i, struct error *error, const struct value *result);
/* Asks a host; when all questions that are out have their answers, `then` runs. False: there is no way to ask. */
void net_change_ask(struct net_change *ch, const struct uuid *host, size_t i, const char *name,
                    struct value args /* taken */, uint64_t deadline_ms, net_change_answer_fn *fn);
/* After the questions have been put: runs `then` once none is open. */
void net_change_await(struct net_change *ch, void (*then)(struct net_change *ch));
bool net_change_can_ask(const struct net_change *ch);

/* ---- net_change_prove.c ---- */
void net_change_try(struct net_change *ch);   /* ends in net_change_write, or ends the change */
void net_change_lower(struct net_change *ch); /* hosts need not hold legs up any more */
/* Of a change that another coordinator began: hosts go on holding their legs up until it has ended. */
void net_change_keep_lifted(struct net_change *ch);

/* ---- net_change_wait.c ---- */
void net_change_write(struct net_change *ch);
void net_change_undo(struct net_change *ch);
void net_change_wait(struct net_change *ch, uint64_t deadline_ms);
/* Hosts are told that the person has confirmed, or not. */
void net_change_decide(struct net_change *ch, bool keep);

/* ---- net_change_journal.c ---- */
char *net_change_journal(const struct net_change *ch);
void net_change_note(struct net_change *ch, const char *outcome); /* into the history */
