/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about transfers share. Loop thread. */
#pragma once

#include "api/http_auth.h"
#include "classes/transfer_calls.h"
#include "daemon/transfer.h"

#define TRANSFERS_MAX 32 /* under way on a coordinator */
#define TRANSFER_OPEN_MS 30000
#define TRANSFER_IDLE_MS (30u * 60 * 1000) /* without a byte: a large sparse disk is looked through first */
/* What clients announce when they do not know how much will come. */
#define TRANSFER_UNKNOWN (INT64_C(1) << 40)

struct transfers {
    struct daemon *d;
    struct tls_context *tls; /* towards other hosts; made at first use */
    struct transfer *first;
    unsigned n;
};

/* One, from the request until the call has its answer. */
struct transfer {
    struct transfers *all;
    struct http_request *req; /* NULL once its stream is taken */
    struct call *call;        /* NULL once it is answered */
    struct vm_op *op;
    struct transfer_plan plan;
    struct uuid id;
    bool is_upload;
    int64_t length; /* of an upload, as announced; -1: not known */
    char *headers;  /* of the answer, whole lines */
    int status;     /* of the answer when all is well */

    struct stream *client, *far; /* NULL: not there yet, or not any more */
    struct buf head;             /* of the far end's answer, as it comes */
    struct loop_source *ticker, *deadline;
    int64_t n_moved;
    uint64_t moved_ms;
    bool is_open, is_asked, is_cancelled; /* bytes flow; the outcome was asked for; by the task */
    struct transfer *next;
};

/* The stream of the transfer at the host that has the storage; then the bytes flow until either side ends, and the
 * call is answered. */
void transfer_reach(struct transfer *t);
/* Whatever is open is cut; the host says how it ended. */
void transfer_cut(struct transfer *t);
/* After the call has been answered. */
void transfer_end(struct transfer *t, bool is_well);

struct tls_context *transfer_tls(struct transfers *ts, struct error **errp);
/* The status and text that go with an error; `headers` as of http_reply_error. */
void transfer_reply_error(struct http_request *req, const struct error *e, const char *headers);
/* On a member: a client is told where the coordinator is; the request of root at this host is passed on. */
void transfer_to_coordinator(struct transfers *ts, struct http_request *req, const struct api_identity *who);
/* The request of a member's root goes to the coordinator as it is. */
void transfer_pass_on(struct transfers *ts, struct http_request *req);
/* /transfer: the coordinator takes up the stream of a transfer that it has opened here. */
void transfer_far_serve(struct transfers *ts);
