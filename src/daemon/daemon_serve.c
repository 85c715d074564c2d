/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/fs.h"
#include "daemon/daemon.h"

#define LOG_MODULE "daemon"
#include "base/log.h"

bool daemon_serve_local(struct daemon *d, struct error **errp) {
    _cleanup_free_ char *own = strf("%s/musterd.sock", d->options.run_dir);
    d->http = http_server_new(d->loop, NULL);
    api_attach_http(d->api, d->http);
    if (!http_server_listen(d->http, own, 0, 0600, NULL, errp))
        return false;
    if (!d->options.xapi_socket[0])
        return true;
    /* XenServer's path is for tools that look there: without it they say so, and everything else works. */
    _cleanup_free_ char *folder = xstrdup(d->options.xapi_socket);
    char *slash = strrchr(folder, '/');
    _cleanup_error_ struct error *e = NULL;
    if (slash && slash != folder)
        *slash = 0;
    int r = fs_mkdirs(folder, 0755);
    if (r < 0)
        error_errno(&e, r, "making '%s'", folder);
    if (e || !http_server_listen(d->http, d->options.xapi_socket, 0, 0600, NULL, &e))
        log_warn("no local API at '%s' (%s); it is at '%s'", d->options.xapi_socket, error_text(e), own);
    return true;
}

bool daemon_serve_https(struct daemon *d, struct error **errp) {
    _cleanup_free_ char *chain = strf("%s/pki/chain.pem", d->options.state_dir),
                        *key = strf("%s/pki/host.key", d->options.state_dir),
                        *ca = strf("%s/pki/ca.pem", d->options.state_dir);
    _cleanup_free_ char *shown = strf("%s/pki/shown.pem", d->options.state_dir);
    certificates_look(d->certificates);
    if (d->https)
        return tls_context_reload(d->https, errp);
    struct tls_config config = {
        .role = TLS_SERVER, .cert_path = chain, .key_path = key, .ca_path = ca, .shown_path = shown};
    d->https = tls_context_new(&config, errp);
    if (d->https && *tls_context_shown_trouble(d->https))
        log_err("the certificate that was installed cannot be shown to clients (%s); they are shown the pool's",
                tls_context_shown_trouble(d->https));
    return d->https && http_server_listen(d->http, "::", d->options.https_port, 0, d->https, errp);
}

void daemon_serve_plain(struct daemon *d) {
    const struct row *host = db_get(d->db, CLASS_host, &d->self);
    bool is_wanted = host && row_bool(host, FIELD_host_plain_http);
    _cleanup_error_ struct error *e = NULL;
    if (is_wanted && !d->is_plain) {
        d->is_plain = http_server_listen(d->http, "::", d->options.http_port, 0, NULL, &e);
        if (!d->is_plain && !d->plain_failed)
            log_err("clients cannot come without TLS, though they may: %s", error_text(e));
        d->plain_failed = !d->is_plain;
    } else if (!is_wanted && d->is_plain) {
        d->is_plain = !http_server_unlisten(d->http, "::", d->options.http_port);
    }
    if (host)
        db_volatile_set(d->db, &d->self, CLASS_host, &d->self, FIELD_host_https_only, value_bool(!d->is_plain));
}
