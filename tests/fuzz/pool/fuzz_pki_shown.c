/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody installs as a certificate: three texts with a NUL between them. Whatever is taken is taken again as the
 * bundle that was made of it. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "pool/pki_shown.h"

#define NOW INT64_C(1795975000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xmalloc(size + 3);
    memcpy(text, data, size);
    memset(text + size, 0, 3);
    const char *certificate = text, *key = certificate + strlen(certificate) + 1,
               *chain = key < text + size + 2 ? key + strlen(key) + 1 : "";
    if (key > text + size)
        key = "";
    if (chain > text + size)
        chain = "";
    char *bundle = NULL, *again = NULL;
    struct error *e = NULL;
    if (!pki_shown_check(certificate, key, chain, NOW, &bundle, &e)) {
        error_free(e);
        return 0;
    }
    _cleanup_free_ char *certificates = xstrndup(bundle, (size_t)(strstr(bundle, "-----BEGIN PRIVATE") - bundle));
    if (!pki_shown_check(certificates, strstr(bundle, "-----BEGIN PRIVATE"), "", NOW, &again, &e) ||
        strcmp(bundle, again))
        abort();
    free(bundle);
    free(again);
    return 0;
}
