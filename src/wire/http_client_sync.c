/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking client, for programs that have nothing else to do. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "wire/http_transfer.h"

#define MAX_FILE_ANSWER 65536

static int on_wait(void *userdata, curl_off_t to_get, curl_off_t got, curl_off_t to_send, curl_off_t sent) {
    const volatile sig_atomic_t *flag = userdata;
    return *flag != 0;
}

static bool perform(CURL *easy, const struct http_target *t, const char *method, const char *path,
                    const char *const *headers, const char *body, size_t size, const volatile sig_atomic_t *abort_flag,
                    struct transfer *transfer, struct error **errp) {
    if (!transfer_init(transfer, easy, t, method, path, headers, body, size, errp))
        return false;
    if (abort_flag) {
        curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_wait);
        curl_easy_setopt(easy, CURLOPT_XFERINFODATA, (void *)(uintptr_t)abort_flag);
        curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    }
    return transfer_result(transfer, curl_easy_perform(easy), errp);
}

bool http_client_sync(const struct http_target *t, const char *method, const char *path, const char *const *headers,
                      const char *body, size_t size, struct http_response *ret, struct error **errp) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *easy = curl_easy_init();
    if (!easy)
        abort();
    struct transfer transfer = {0};
    bool ok = perform(easy, t, method, path, headers, body, size, /* abort_flag= */ NULL, &transfer, errp);
    curl_easy_cleanup(easy);
    if (ok) {
        *ret = transfer.response;
        transfer.response = (struct http_response){0};
    }
    transfer_done(&transfer);
    return ok;
}

struct rpc_client {
    struct http_target target;               /* its texts are owned */
    CURL *easy;                              /* keeps the connection */
    const volatile sig_atomic_t *abort_flag; /* borrowed; NULL */
    char peer_fingerprint[TLS_FINGERPRINT_SIZE], peer_key[TLS_FINGERPRINT_SIZE];
};

static const char *copy(const char *s) {
    return s ? xstrdup(s) : NULL;
}

struct rpc_client *rpc_client_new(const struct http_target *t) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct rpc_client *c = xnew0(struct rpc_client);
    c->target = *t;
    c->target.unix_path = copy(t->unix_path);
    c->target.host = copy(t->host);
    c->target.ca_path = copy(t->ca_path);
    c->target.pin = copy(t->pin);
    c->target.cert_path = copy(t->cert_path);
    c->target.key_path = copy(t->key_path);
    c->easy = curl_easy_init();
    if (!c->easy)
        abort();
    return c;
}

void rpc_client_free(struct rpc_client *c) {
    if (!c)
        return;
    curl_easy_cleanup(c->easy);
    free((void *)(uintptr_t)c->target.unix_path);
    free((void *)(uintptr_t)c->target.host);
    free((void *)(uintptr_t)c->target.ca_path);
    free((void *)(uintptr_t)c->target.pin);
    free((void *)(uintptr_t)c->target.cert_path);
    free((void *)(uintptr_t)c->target.key_path);
    free(c);
}

bool rpc_client_call(struct rpc_client *c, const char *method, const struct value *params, size_t n_params,
                     struct value *ret, struct error **errp) {
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    _cleanup_buf_ struct buf body = BUF_INIT;
    rpc_encode_call(RPC_JSON_2, method, params, n_params, &body);
    struct transfer transfer = {0};
    curl_easy_reset(c->easy); /* options only: the connection stays */
    bool ok = perform(c->easy, &c->target, "POST", "/jsonrpc", headers, body.data, body.size, c->abort_flag, &transfer,
                      errp) &&
              transfer_decode_rpc(&transfer, ret, errp);
    /* A kept connection shows its certificate only once. */
    if (transfer.response.peer_fingerprint[0])
        memcpy(c->peer_fingerprint, transfer.response.peer_fingerprint, sizeof(c->peer_fingerprint));
    if (transfer.response.peer_key_fingerprint[0])
        memcpy(c->peer_key, transfer.response.peer_key_fingerprint, sizeof(c->peer_key));
    explicit_bzero(body.data, body.size);
    curl_easy_reset(c->easy);
    transfer_done(&transfer);
    return ok;
}

bool rpc_client_get(struct rpc_client *c, const char *path, const char *const *headers, struct http_response *ret,
                    struct error **errp) {
    struct transfer transfer = {0};
    curl_easy_reset(c->easy); /* options only: the connection stays */
    bool ok = perform(c->easy, &c->target, "GET", path, headers, /* body= */ NULL, 0, c->abort_flag, &transfer, errp);
    curl_easy_reset(c->easy);
    if (ok) {
        *ret = transfer.response;
        transfer.response = (struct http_response){0};
    }
    transfer_done(&transfer);
    return ok;
}

void rpc_client_set_timeout(struct rpc_client *c, unsigned timeout_ms) {
    c->target.timeout_ms = timeout_ms;
}

void rpc_client_set_abort(struct rpc_client *c, const volatile sig_atomic_t *flag) {
    c->abort_flag = flag;
}

const char *rpc_client_peer_key(const struct rpc_client *c) {
    return c->peer_key;
}

const char *rpc_client_peer_fingerprint(const struct rpc_client *c) {
    return c->peer_fingerprint;
}

bool rpc_client_call_sync(const struct http_target *t, const char *method, const struct value *params, size_t n_params,
                          struct value *ret, struct error **errp) {
    struct rpc_client *c = rpc_client_new(t);
    bool ok = rpc_client_call(c, method, params, n_params, ret, errp);
    rpc_client_free(c);
    return ok;
}

/* ---- files ---- */

struct file_transfer {
    struct rpc_file *file;
    const volatile sig_atomic_t *abort_flag;
    struct transfer transfer;
};

static size_t on_file_read(char *data, size_t one, size_t size, void *userdata) {
    struct file_transfer *f = userdata;
    ssize_t n;
    do
        n = read(f->file->fd, data, one * size);
    while (n < 0 && errno == EINTR && !(f->abort_flag && *f->abort_flag));
    if (n >= 0)
        return (size_t)n;
    f->file->problem = errno;
    return CURL_READFUNC_ABORT;
}

static size_t on_file_write(char *data, size_t one, size_t size, void *userdata) {
    struct file_transfer *f = userdata;
    long status = 0;
    (void)curl_easy_getinfo(f->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    if (f->file->is_upload || status < 200 || status >= 300) {
        if (f->transfer.response.body.size + size <= MAX_FILE_ANSWER)
            buf_add(&f->transfer.response.body, data, size);
        return size;
    }
    for (size_t done = 0; done < size;) {
        ssize_t n = write(f->file->fd, data + done, size - done);
        if (n < 0 && errno != EINTR) {
            f->file->problem = errno;
            return 0;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return size;
}

static int on_file_progress(void *userdata, curl_off_t to_get, curl_off_t got, curl_off_t to_send, curl_off_t sent) {
    const struct file_transfer *f = userdata;
    curl_off_t all = f->file->size > 0 ? f->file->size : f->file->is_upload ? to_send : to_get;
    curl_off_t done = f->file->is_upload ? sent : got;
    if (f->file->progress)
        f->file->progress(all > 0 && done < all ? (double)done / (double)all : all > 0, f->file->userdata);
    return f->abort_flag && *f->abort_flag;
}

static void set_file_options(struct file_transfer *f) {
    CURL *e = f->transfer.easy;
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_0);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_file_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_file_progress);
    curl_easy_setopt(e, CURLOPT_XFERINFODATA, f);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    if (!f->file->is_upload)
        return;
    curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, on_file_read);
    curl_easy_setopt(e, CURLOPT_READDATA, f);
    /* What has no length is announced as more than there can be, and ends with the connection, as servers of this API
     * expect. */
    curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)(f->file->size < 0 ? INT64_C(1) << 40 : f->file->size));
}

bool rpc_client_file(struct rpc_client *c, struct rpc_file *file, const char *const *headers, struct http_response *ret,
                     struct error **errp) {
    struct file_transfer f = {.file = file, .abort_flag = c->abort_flag};
    CURL *easy = curl_easy_init();
    if (!easy)
        abort();
    bool ok = transfer_init(&f.transfer, easy, &c->target, file->is_upload ? "PUT" : "GET", file->path, headers,
                            /* body= */ NULL, 0, errp);
    if (ok) {
        set_file_options(&f);
        CURLcode code = curl_easy_perform(easy);
        /* A server that has answered and closes has read enough. */
        if (file->is_upload && (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR))
            code = CURLE_OK;
        ok = transfer_result(&f.transfer, code, errp);
    }
    curl_easy_cleanup(easy);
    if (ok) {
        *ret = f.transfer.response;
        f.transfer.response = (struct http_response){0};
    }
    transfer_done(&f.transfer);
    return ok;
}
