/* SPDX-License-Identifier: Apache-2.0 */
/* GET /audit_log?since=TIME: the lines of this host's audit log, as text. */
#include "api/audit_log.h"
#include "api/call_private.h"
#include "api/http_auth.h"
#include "base/str.h"

/* A job: read the files, then answer. */
struct reading {
    struct http_request *req;
    char *path;
    char since[AUDIT_TIME_SIZE];
    struct buf text;
};

static void read_run(void *data) {
    struct reading *r = data;
    audit_log_read(r->path, r->since, &r->text);
}

static void read_done(void *data) {
    struct reading *r = data;
    http_reply(r->req, 200, "text/plain; charset=utf-8", NULL, &r->text);
    buf_done(&r->text);
    free(r->path);
    free(r);
}

static void send_log(struct http_request *req, const struct api_identity *who, void *userdata) {
    struct api *a = userdata;
    const char *since = http_get_query(req, "since");
    struct reading *r = xnew0(struct reading);
    *r = (struct reading){.req = req, .text = BUF_INIT};
    if (!a->audit) {
        free(r);
        http_reply_error(req, 404, NULL, "There is no audit log here.");
    } else if (!audit_log_parse_since(str_or_empty(since), r->since)) {
        free(r);
        http_reply_error(req, 400, NULL, "since is no time, as 20261129T18:19:14Z is.");
    } else {
        r->path = xstrdup(audit_log_path(a->audit));
        worker_submit(a->config.worker, "audit", read_run, read_done, r);
    }
}

static void handle_audit_log(struct http_request *req, void *userdata) {
    api_http_authenticate(userdata, req, ROLE_READ_ONLY, send_log, userdata);
}

void audit_attach_http(struct api *a, struct http_server *server) {
    http_server_route(server, HTTP_GET, "/audit_log", /* max_body= */ 1024, handle_audit_log, a);
}
