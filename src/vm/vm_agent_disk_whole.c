/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks that have come from another pool: that they lie here whole, before this pool promises to keep them. What the
 * sender has sent is in a file only when the program that served it has ended well, and on the disk only after an
 * fsync. A daemon that was started anew meanwhile does not know how it ended, and so promises nothing.
 *
 * Call (arguments -> result):
 *   disk_whole  id (of the move), disks: their uuids, with blanks -> true
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "vm/vm_agent_move.h"

#define LOOK_MS 100
#define ENDS_MS 40000 /* the server writes what it holds, and ends, after its client has gone */
#define WHOLE_MAX 256

struct disk_whole {
    char id[VM_MOVE_ID_SIZE];
    struct uuid vdi;
    char *file;
    struct disk_whole *next; /* older */
};

static void whole_free(struct disk_whole *w) {
    free(w->file);
    free(w);
}

void vm_disk_whole_note(struct vm_agent *a, const char *id, const struct uuid *vdi, const char *file) {
    struct disk_whole *w = xnew0(struct disk_whole), **at = &a->disk_wholes;
    *w = (struct disk_whole){.vdi = *vdi, .file = xstrdup(file), .next = a->disk_wholes};
    (void)str_copy(w->id, sizeof(w->id), id);
    a->disk_wholes = w;
    for (size_t n = 0; *at && n < WHOLE_MAX; n++)
        at = &(*at)->next;
    while (*at) { /* of moves that were never asked about */
        struct disk_whole *old = *at;
        *at = old->next;
        whole_free(old);
    }
}

void vm_disk_whole_forget(struct vm_agent *a, const char *id) {
    for (struct disk_whole **at = &a->disk_wholes; *at;) {
        struct disk_whole *w = *at;
        if (id && !str_eq(w->id, id)) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        whole_free(w);
    }
}

static const struct disk_whole *find(const struct vm_agent *a, const char *id, const struct uuid *vdi) {
    const struct disk_whole *w = a->disk_wholes;
    while (w && !(str_eq(w->id, id) && uuid_eq(&w->vdi, vdi)))
        w = w->next;
    return w;
}

struct disk_asking {
    struct vm_agent *a;
    struct pool_reply *reply;
    char *id, *disks;
    struct strv files;
    struct loop_source *timer;
    uint64_t until_ms;
    struct error *error;
    struct disk_asking *next;
};

static void asking_end(struct disk_asking *k) {
    struct disk_asking **at = &k->a->disk_askings;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    if (k->a->is_freed)
        ; /* nobody is answered any more */
    else if (k->error)
        pool_reply_fail(k->reply, TAKE(k->error));
    else
        pool_reply_return(k->reply, value_bool(true));
    loop_source_free(k->timer);
    strv_done(&k->files);
    error_free(k->error);
    free(k->id);
    free(k->disks);
    free(k);
}

void vm_disk_askings_free(struct vm_agent *a) {
    while (a->disk_askings)
        asking_end(a->disk_askings);
}

/* Blocking. */
static void sync_run(void *data) {
    struct disk_asking *k = data;
    for (size_t i = 0; i < k->files.n && !k->error; i++) {
        int fd = open(k->files.items[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fsync(fd) < 0)
            error_errno(&k->error, -errno, "writing '%s' to the disk", k->files.items[i]);
        if (fd >= 0)
            close(fd);
    }
}

static void sync_done(void *data) {
    asking_end(data);
}

static void on_look(struct loop_source *s, void *userdata) {
    struct disk_asking *k = userdata;
    _cleanup_strv_ struct strv words = {0};
    bool is_late = loop_now_ms(k->a->loop) >= k->until_ms;
    if (vm_disk_is_served(k->a, k->id) && !is_late) {
        loop_timer_set(k->timer, LOOK_MS);
        return;
    }
    strv_split(&words, k->disks, ' ');
    for (size_t i = 0; i < words.n && !k->error; i++) {
        struct uuid vdi;
        const struct disk_whole *w = uuid_parse(words.items[i], &vdi) ? find(k->a, k->id, &vdi) : NULL;
        if (w)
            strv_add(&k->files, w->file);
        else
            error_internal(&k->error, "it is not known that disk '%s' has come whole", words.items[i]);
    }
    if (k->error)
        asking_end(k);
    else
        worker_submit(k->a->storage, k->id, sync_run, sync_done, k);
}

void vm_serve_disk_whole(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct disk_asking *k = xnew0(struct disk_asking);
    *k = (struct disk_asking){.a = a,
                              .reply = reply,
                              .id = xstrdup(str_or_empty(value_map_str(args, "id"))),
                              .disks = xstrdup(str_or_empty(value_map_str(args, "disks"))),
                              .until_ms = loop_now_ms(a->loop) + ENDS_MS,
                              .next = a->disk_askings};
    a->disk_askings = k;
    k->timer = loop_add_timer(a->loop, 0, on_look, k);
}
