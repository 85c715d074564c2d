/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/blobs.h"

#include <string.h>

#include "api/http_call.h"
#include "base/str.h"
#include "classes/class_blob.h"
#include "daemon/transfer_private.h"

#define BLOB_CALL(call_name, call_role)                                                                                \
    {                                                                                                                  \
        .name = call_name, .class_id = CLASS_blob, .kind = CALL_CUSTOM, .field = -1, .has_session = true,              \
        .has_async = true, .role = call_role, .handler = -1, .doc = ""                                                 \
    }
static const struct call_def get_call = BLOB_CALL("blob.get", ROLE_READ_ONLY),
                             put_call = BLOB_CALL("blob.put", ROLE_VM_POWER_ADMIN);

static const struct row *find(struct transfers *ts, struct http_request *req) {
    const char *ref = http_get_query(req, "ref"), *uuid = http_get_query(req, "uuid");
    struct uuid u;
    bool is_named = ref ? ref_parse(ref, &u) : uuid && uuid_parse(uuid, &u);
    return is_named ? db_get(ts->d->db, CLASS_blob, &u) : NULL;
}

/* NULL: the request has been answered. */
static const struct row *named(struct transfers *ts, struct http_request *req) {
    const struct row *blob = find(ts, req);
    if (!blob)
        http_reply_error(req, 404, NULL, "There is no such blob: name one by ref= or uuid=.");
    return blob;
}

/* ---- reading ---- */

static void send_blob(struct http_request *req, const struct row *blob) {
    char *content = blob_content(blob);
    if (!content) {
        http_reply_error(req, 404, NULL, "Nothing has been written to this blob yet.");
        return;
    }
    size_t size = (size_t)row_int(blob, FIELD_blob_size);
    struct buf body = {.data = content, .size = size, .capacity = size + 1};
    http_reply(req, 200, row_str(blob, FIELD_blob_mime_type), "Cache-Control: no-cache, no-store\r\n", &body);
    buf_done(&body);
}

struct getting {
    struct transfers *ts;
    struct http_request *req;
};

static void on_allowed(const struct reply *r, void *userdata) {
    struct getting *g = userdata;
    const struct row *blob = r->error ? NULL : named(g->ts, g->req);
    if (r->error)
        transfer_reply_error(g->req, r->error, NULL);
    else if (blob)
        send_blob(g->req, blob);
    free(g);
}

/* As a call, for a client may have made a task for it. */
static void on_reader(struct http_request *req, const struct api_identity *who, void *userdata) {
    struct transfers *ts = userdata;
    struct error *e = NULL;
    if (!http_get_query(req, "task_id")) {
        const struct row *blob = named(ts, req);
        if (blob)
            send_blob(req, blob);
        return;
    }
    if (!api_is_coordinator(ts->d->api)) {
        transfer_to_coordinator(ts, req, who);
        return;
    }
    struct getting *g = xnew0(struct getting);
    *g = (struct getting){ts, req};
    struct call *c = api_http_call(ts->d->api, req, who, &get_call, on_allowed, g, &e);
    if (c) {
        call_return_void(c);
        return;
    }
    transfer_reply_error(req, e, NULL);
    error_free(e);
    free(g);
}

static bool is_ours(struct http_request *req) {
    bool yes = str_eq(http_get_path(req), "/blob");
    if (!yes)
        http_reply_error(req, 404, NULL, "There is nothing at this address.");
    return yes;
}

static void handle_get(struct http_request *req, void *userdata) {
    if (!is_ours(req))
        return;
    struct transfers *ts = userdata;
    const struct row *blob = find(ts, req);
    /* Who is not logged in does not learn which blobs there are. */
    if (blob && row_bool(blob, FIELD_blob_public))
        send_blob(req, blob);
    else
        api_http_authenticate(ts->d->api, req, ROLE_READ_ONLY, on_reader, ts);
}

/* ---- writing ---- */

struct putting {
    struct transfers *ts;
    struct http_request *req;
    struct api_identity who;
    struct buf content;
};

static void on_written(const struct reply *r, void *userdata) {
    struct http_request *req = userdata;
    if (r->error)
        transfer_reply_error(req, r->error, NULL);
    else
        http_reply(req, 200, NULL, NULL, NULL);
}

static void write_blob(struct putting *p) {
    struct error *e = NULL;
    const struct row *blob = named(p->ts, p->req); /* it may have gone while its content came */
    if (!blob)
        return;
    struct call *c = api_http_call(p->ts->d->api, p->req, &p->who, &put_call, on_written, p->req, &e);
    if (c) {
        blob_write(c, blob, buf_str(&p->content), p->content.size);
        return;
    }
    transfer_reply_error(p->req, e, NULL);
    error_free(e);
}

static void on_data(struct http_request *req, const char *data, size_t size, void *userdata) {
    struct putting *p = userdata;
    buf_add(&p->content, data, size); /* no more than was announced */
}

static void on_end(struct http_request *req, bool complete, void *userdata) {
    struct putting *p = userdata;
    if (!complete)
        http_end(req);
    else
        write_blob(p);
    buf_done(&p->content);
    free(p);
}

static const struct http_body_callbacks body_callbacks = {.data = on_data, .end = on_end};

static void on_writer(struct http_request *req, const struct api_identity *who, void *userdata) {
    struct transfers *ts = userdata;
    if (http_is_aborted(req)) {
        http_end(req);
    } else if (!api_is_coordinator(ts->d->api)) {
        transfer_to_coordinator(ts, req, who);
    } else if (http_get_head(req)->content_length < 0) {
        http_reply_error(req, 411, NULL, "The length of the content must be announced.");
    } else if (http_get_head(req)->content_length > (int64_t)BLOB_SIZE_MAX) {
        http_reply_error(req, 413, NULL, "A blob holds 64 KiB at most; put what is larger on a disk.");
    } else if (named(ts, req)) {
        struct putting *p = xnew0(struct putting);
        *p = (struct putting){.ts = ts, .req = req, .who = *who, .content = BUF_INIT};
        http_read_body(req, &body_callbacks, p);
    }
}

static void handle_put(struct http_request *req, void *userdata) {
    struct transfers *ts = userdata;
    if (is_ours(req))
        api_http_authenticate(ts->d->api, req, ROLE_VM_POWER_ADMIN, on_writer, ts);
}

void blobs_serve(struct transfers *ts) {
    http_server_route_raw(ts->d->http, HTTP_GET, "/blob", handle_get, ts);
    http_server_route_raw(ts->d->http, HTTP_PUT, "/blob", handle_put, ts);
}
