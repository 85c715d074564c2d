/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/transfer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "api/http_call.h"
#include "base/str.h"
#include "daemon/blobs.h"
#include "daemon/transfer_private.h"

struct kind {
    enum http_method method;
    const char *path;
    struct call_def def; /* as the log and the task call it */
    /* False: the call has been failed, and the transfer is gone with it. */
    bool (*begin)(struct transfer *t);
};

/* ---- answers ---- */

static int status_of(const char *code) {
    static const struct {
        const char *code;
        int status;
    } known[] = {{ERR_HANDLE_INVALID, 404},         {ERR_UUID_INVALID, 404},    {ERR_RBAC_PERMISSION_DENIED, 403},
                 {ERR_INVALID_VALUE, 400},          {ERR_VDI_IN_USE, 409},      {ERR_OTHER_OPERATION_IN_PROGRESS, 409},
                 {ERR_VM_BAD_POWER_STATE, 409},     {ERR_NOT_IMPLEMENTED, 501}, {ERR_OPERATION_NOT_ALLOWED, 409},
                 {ERR_TOO_MANY_PENDING_TASKS, 503}, {ERR_HOST_OFFLINE, 503},    {ERR_VDI_READONLY, 409},
                 {ERR_DEFAULT_SR_NOT_FOUND, 404},   {ERR_SR_NOT_ATTACHED, 409}, {ERR_SR_HAS_NO_PBDS, 409},
                 {ERR_OPERATION_BLOCKED, 409},      {ERR_SR_FULL, 507}};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (str_eq(known[i].code, code))
            return known[i].status;
    return 500;
}

void transfer_reply_error(struct http_request *req, const struct error *e, const char *headers) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    buf_add_str(&text, error_code(e));
    for (size_t i = 0; i < error_n_params(e); i++)
        buf_addf(&text, "%s %s", i ? "," : ":", error_param(e, i));
    bool is_range = error_is(e, ERR_INVALID_VALUE) && str_eq(error_param(e, 0), "Range");
    http_on_abort(req, NULL, NULL);
    http_reply_error(req, is_range ? 416 : status_of(error_code(e)), headers, buf_str(&text));
}

/* The call is over, however it went. */
static void on_answered(const struct reply *r, void *userdata) {
    struct transfer *t = userdata;
    t->call = NULL;
    t->op = NULL;
    if (t->req && r->error)
        transfer_reply_error(TAKE(t->req), r->error, t->headers);
    else if (t->req) {
        http_on_abort(t->req, NULL, NULL);
        http_reply(TAKE(t->req), 200, NULL, t->headers, NULL);
    }
    transfer_end(t, !r->error);
}

/* ---- what is asked for ---- */

/* NULL: the call has been failed, and the transfer is gone with it. */
static const struct row *named(struct transfer *t, int class_id, const char *key) {
    struct db *d = t->all->d->db;
    const char *text = http_get_query(t->req, key);
    struct uuid u;
    bool is_ref = text && ref_parse(text, &u);
    const struct row *r = is_ref || (text && uuid_parse(text, &u)) ? db_get(d, class_id, &u) : NULL;
    if (!r)
        call_fail_code(t->call, text && !is_ref ? ERR_UUID_INVALID : ERR_HANDLE_INVALID, model_classes[class_id].name,
                       str_or_empty(text), NULL);
    return r;
}

/* "bytes=a-b", "bytes=a-": one range, within `all`. False: there is none that can be served. */
static bool parse_range(const char *text, int64_t all, int64_t *ret_from, int64_t *ret_size) {
    int64_t from, to = all - 1;
    if (!str_starts(text, "bytes=") || strchr(text, ','))
        return false;
    _cleanup_free_ char *range = xstrdup(text + strlen("bytes="));
    char *dash = strchr(range, '-');
    if (!dash)
        return false;
    *dash = '\0';
    if (!str_parse_int(range, 0, INT64_MAX, &from) || from >= all ||
        (dash[1] && !str_parse_int(dash + 1, 0, INT64_MAX, &to)) || to < from)
        return false;
    *ret_from = from;
    *ret_size = MIN(to, all - 1) - from + 1;
    return true;
}

static void add_headers(struct transfer *t, const char *fmt, ...) _printf_(2, 3);
static void add_headers(struct transfer *t, const char *fmt, ...) {
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    char *all = strf("%s%s\r\n", str_or_empty(t->headers), line);
    free(t->headers);
    t->headers = all;
}

static void describe_download(struct transfer *t) {
    add_headers(t, "Content-Type: application/octet-stream");
    add_headers(t, "Content-Disposition: attachment; filename=\"%s\"", t->plan.name);
    if (t->plan.is_exact)
        add_headers(t, "Content-Length: %" PRId64, t->plan.size);
}

static bool begin_vdi_export(struct transfer *t) {
    const struct row *vdi = named(t, CLASS_VDI, "vdi");
    if (!vdi)
        return false;
    const char *format = http_get_query(t->req, "format"), *range = http_get_header(t->req, "range");
    int64_t from = 0, size = -1;
    if (http_get_query(t->req, "base")) {
        call_fail_code(t->call, ERR_NOT_IMPLEMENTED, "export_raw_vdi with base", NULL);
        return false;
    }
    format = format ? format : "raw";
    bool is_part = range && str_eq(format, "raw");
    int64_t all = row_int(vdi, FIELD_VDI_virtual_size);
    if (is_part && !parse_range(range, all, &from, &size)) {
        add_headers(t, "Content-Range: bytes */%" PRId64, all);
        call_fail_code(t->call, ERR_INVALID_VALUE, "Range", range, NULL);
        return false;
    }
    struct vm_op *op = transfer_vdi_export(t->call, vdi, format, from, size, &t->plan);
    if (!op)
        return false;
    t->op = op;
    describe_download(t);
    if (str_eq(format, "raw"))
        add_headers(t, "Accept-Ranges: bytes");
    if (is_part)
        add_headers(t, "Content-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64, from, from + size - 1, all);
    t->status = is_part ? 206 : 200;
    return true;
}

static bool begin_vdi_import(struct transfer *t) {
    const struct row *vdi = named(t, CLASS_VDI, "vdi");
    if (!vdi)
        return false;
    const char *format = http_get_query(t->req, "format");
    struct vm_op *op =
        transfer_vdi_import(t->call, vdi, format ? format : "raw", t->length < TRANSFER_UNKNOWN ? t->length : -1,
                            http_get_query(t->req, "chunked") != NULL, &t->plan);
    if (op)
        t->op = op;
    return op != NULL;
}

static bool is_true(const char *text) {
    return text && (str_eq(text, "true") || str_eq(text, "1"));
}

static bool begin_vm_export(struct transfer *t) {
    const struct row *vm = named(t, CLASS_VM, http_get_query(t->req, "ref") ? "ref" : "uuid");
    if (!vm)
        return false;
    const char *packed = http_get_query(t->req, "use_compression");
    const char *compress = is_true(packed) ? "gzip" : !packed || str_eq(packed, "false") ? "" : packed;
    if (*compress && !str_eq(compress, "gzip") && !str_eq(compress, "zstd")) {
        call_fail_code(t->call, ERR_INVALID_VALUE, "use_compression", packed, NULL);
        return false;
    }
    if (is_true(http_get_query(t->req, "include_snapshots")) || is_true(http_get_query(t->req, "export_snapshots"))) {
        call_fail_code(t->call, ERR_NOT_IMPLEMENTED, "export with snapshots", NULL);
        return false;
    }
    struct vm_op *op = transfer_vm_export(t->call, vm, compress, &t->plan);
    if (!op)
        return false;
    t->op = op;
    describe_download(t);
    return true;
}

static bool begin_vm_import(struct transfer *t) {
    const char *key = http_get_query(t->req, "sr_id") ? "sr_id" : "sr_uuid";
    bool is_named = http_get_query(t->req, key) != NULL;
    const struct row *sr = is_named ? named(t, CLASS_SR, key) : NULL;
    if (is_named && !sr) /* the transfer is over */
        return false;
    struct vm_op *op = transfer_vm_import(t->call, sr, is_true(http_get_query(t->req, "restore")),
                                          is_true(http_get_query(t->req, "force")),
                                          t->length < TRANSFER_UNKNOWN ? t->length : -1, &t->plan);
    if (op)
        t->op = op;
    return op != NULL;
}

static bool begin_metadata(struct transfer *t) {
    call_fail_code(t->call, ERR_NOT_IMPLEMENTED, http_get_path(t->req) + 1, NULL);
    return false;
}

/* ---- requests ---- */

#define TRANSFER_CALL(of_class, call_name)                                                                             \
    {                                                                                                                  \
        .name = call_name, .class_id = of_class, .kind = CALL_CUSTOM, .field = -1, .has_session = true,                \
        .has_async = true, .role = ROLE_VM_ADMIN, .handler = -1, .doc = ""                                             \
    }

static const struct kind kinds[] = {
    {HTTP_GET, "/export_raw_vdi", TRANSFER_CALL(CLASS_VDI, "VDI.export_raw"), begin_vdi_export},
    {HTTP_PUT, "/import_raw_vdi", TRANSFER_CALL(CLASS_VDI, "VDI.import_raw"), begin_vdi_import},
    {HTTP_GET, "/export", TRANSFER_CALL(CLASS_VM, "VM.export"), begin_vm_export},
    {HTTP_PUT, "/import", TRANSFER_CALL(CLASS_VM, "VM.import"), begin_vm_import},
    {HTTP_GET, "/export_metadata", TRANSFER_CALL(CLASS_VM, "VM.export_metadata"), begin_metadata},
    {HTTP_PUT, "/import_metadata", TRANSFER_CALL(CLASS_VM, "VM.import_metadata"), begin_metadata},
};

static const struct kind *kind_of(struct http_request *req) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (kinds[i].method == http_get_method(req) && str_eq(kinds[i].path, http_get_path(req)))
            return &kinds[i];
    return NULL;
}

void transfer_to_coordinator(struct transfers *ts, struct http_request *req, const struct api_identity *who) {
    struct db *d = ts->d->db;
    const struct row *pool = db_pool(d), *host = pool ? db_follow(d, pool, FIELD_pool_master) : NULL;
    const char *address = host ? row_str(host, FIELD_host_address) : "";
    if (who->is_local) {
        transfer_pass_on(ts, req);
    } else if (who->is_pool_host || !*address) {
        http_reply_error(req, 503, NULL, "This host is not the coordinator, and does not know who is.");
    } else {
        bool is_v6 = strchr(address, ':');
        char port[16] = "";
        if (ts->d->options.https_port != 443)
            (void)snprintf(port, sizeof(port), ":%u", ts->d->options.https_port);
        _cleanup_free_ char *where = strf("Location: https://%s%s%s%s%s?%s\r\n", is_v6 ? "[" : "", address,
                                          is_v6 ? "]" : "", port, http_get_path(req), http_get_query_text(req));
        http_reply_error(req, 302, where, "The coordinator has it.");
    }
}

static void on_authenticated(struct http_request *req, const struct api_identity *who, void *userdata) {
    struct transfers *ts = userdata;
    const struct kind *k = kind_of(req);
    const struct http_head *h = http_get_head(req);
    struct error *e = NULL;
    if (http_is_aborted(req)) {
        http_end(req);
        return;
    }
    if (!api_is_coordinator(ts->d->api)) {
        transfer_to_coordinator(ts, req, who);
        return;
    }
    bool is_upload = k->method == HTTP_PUT;
    if (is_upload && h->content_length == 0 && !http_get_query(req, "task_id")) {
        http_reply(req, 200, NULL, NULL, NULL); /* how some clients ask whether they are redirected */
        return;
    }
    if (ts->n >= TRANSFERS_MAX) {
        http_reply_error(req, 503, NULL, "There are too many imports and exports under way.");
        return;
    }
    struct transfer *t = xnew0(struct transfer);
    *t = (struct transfer){
        .all = ts, .req = req, .is_upload = is_upload, .length = h->content_length, .status = 200, .next = ts->first};
    ts->first = t;
    ts->n++;
    t->call = api_http_call(ts->d->api, req, who, &k->def, on_answered, t, &e);
    if (!t->call) {
        transfer_reply_error(TAKE(t->req), e, NULL);
        error_free(e);
        transfer_end(t, /* is_well= */ false);
        return;
    }
    char task[REF_TEXT_SIZE];
    add_headers(t, "task-id: %s", ref_text(call_task(t->call), task));
    add_headers(t, "Connection: close");
    add_headers(t, "Cache-Control: no-cache, no-store");
    if (k->begin(t))
        transfer_reach(t);
}

static void handle(struct http_request *req, void *userdata) {
    struct transfers *ts = userdata;
    if (kind_of(req))
        api_http_authenticate(ts->d->api, req, ROLE_VM_ADMIN, on_authenticated, ts);
    else
        http_reply_error(req, 404, NULL, "There is nothing at this address.");
}

struct transfers *transfers_new(struct daemon *d) {
    struct transfers *ts = xnew0(struct transfers);
    ts->d = d;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        http_server_route_raw(d->http, kinds[i].method, kinds[i].path, handle, ts);
    transfer_far_serve(ts);
    blobs_serve(ts);
    return ts;
}

void transfers_free(struct transfers *ts) {
    if (!ts)
        return;
    while (ts->first) {
        struct http_request *req = TAKE(ts->first->req);
        transfer_end(ts->first, /* is_well= */ false);
        if (req)
            http_end(req);
    }
    tls_context_unref(ts->tls);
    free(ts);
}
