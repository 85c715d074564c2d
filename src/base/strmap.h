/* SPDX-License-Identifier: Apache-2.0 */
/* Hash maps: from string to pointer, and from uuid to pointer. Keys are copied, values are borrowed. Not thread-safe.
 */
#pragma once

#include "base/uuid.h"

struct strmap;
struct strmap *strmap_new(void);
void strmap_free(struct strmap *m); /* accepts NULL; values are not touched */
void *strmap_get(const struct strmap *m, const char *key);
void *strmap_put(struct strmap *m, const char *key, void *value); /* returns what was there, or NULL */
void *strmap_remove(struct strmap *m, const char *key);
size_t strmap_size(const struct strmap *m);
/* Iteration: start with *pos = 0; false at the end. The map must not grow meanwhile; removing the current key is fine.
 */
bool strmap_next(const struct strmap *m, size_t *pos, const char **ret_key, void **ret_value);

struct uuidmap;
struct uuidmap *uuidmap_new(void);
void uuidmap_free(struct uuidmap *m);
void *uuidmap_get(const struct uuidmap *m, const struct uuid *key);
void *uuidmap_put(struct uuidmap *m, const struct uuid *key, void *value);
void *uuidmap_remove(struct uuidmap *m, const struct uuid *key);
size_t uuidmap_size(const struct uuidmap *m);
bool uuidmap_next(const struct uuidmap *m, size_t *pos, struct uuid *ret_key, void **ret_value);
