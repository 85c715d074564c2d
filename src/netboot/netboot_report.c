/* SPDX-License-Identifier: Apache-2.0 */
#include "netboot/netboot.h"

#include "base/fs.h"
#include "base/str.h"

#include <jansson.h>
#include <time.h>

#define MAX_REPORT_SIZE (16 * 1024 * 1024)

void netboot_phase_done(struct netboot_phase *p) {
    buf_done(&p->steps);
    free(p->error);
    *p = (struct netboot_phase){0};
}

static json_t *text_of(const char *s) {
    json_t *t = json_string(str_or_empty(s));
    return t ? t : json_string("(not UTF-8)");
}

void netboot_phase_add_step(struct netboot_phase *p, const struct net_step *s, unsigned took_ms, const char *problem) {
    _cleanup_free_ char *text = net_step_text(s);
    json_t *step =
        json_pack("{so so si}", "step", text_of(text), "reason", text_of(s->reason), "took_ms", (int)took_ms);
    if (problem)
        json_object_set_new(step, "problem", text_of(problem));
    _cleanup_free_ char *json = json_dumps(step, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(step);
    if (p->steps.size)
        buf_add_char(&p->steps, ',');
    buf_add_str(&p->steps, json);
}

static json_t *phase_json(const struct netboot_phase *p) {
    _cleanup_free_ char *list = strf("[%s]", buf_str(&p->steps));
    json_t *o = json_pack("{si so}", "took_ms", (int)p->took_ms, "steps", json_loads(list, 0, NULL));
    if (p->error)
        json_object_set_new(o, "error", text_of(p->error));
    return o;
}

static json_t *problems_json(const struct net_problems *ps) {
    json_t *list = json_array();
    for (size_t i = 0; i < ps->n; i++) {
        const struct net_problem *p = &ps->items[i];
        char code[NET_FAULT_CODE_SIZE];
        json_array_append_new(list, json_pack("{ss ss ss sb so so}", "code", net_fault_code_text(p->code, code), "nic",
                                              p->nic, "bridge", p->bridge, "healed", p->healed, "text",
                                              text_of(p->text), "cure", text_of(p->cure)));
    }
    return list;
}

static const char *result_of(const struct netboot_report *r, const struct netboot_phase *p) {
    if (p->error)
        return "failed";
    for (size_t i = 0; i < r->problems.n; i++)
        if (!r->problems.items[i].healed)
            return "degraded";
    return "ok";
}

bool netboot_report_write(struct netboot *n, const struct netboot_report *r, const struct netboot_phase *p,
                          struct error **errp) {
    _cleanup_free_ char *path = strf("%s/netboot.json", n->run_dir);
    _cleanup_buf_ struct buf old = BUF_INIT;
    json_t *root =
        fs_read(path, MAX_REPORT_SIZE, &old) == 0 ? json_loadb(old.data ? old.data : "", old.size, 0, NULL) : NULL;
    if (!json_is_object(root) || str_eq(p->name, "boot")) { /* a boot begins a new report */
        json_decref(root);
        root = json_object();
    }
    json_object_set_new(root, "phase", json_string(p->name));
    json_object_set_new(root, "result", json_string(result_of(r, p)));
    json_object_set_new(root, "config_hash", json_string(r->hash));
    json_object_set_new(root, "generation", json_integer((json_int_t)r->generation));
    json_object_set_new(root, "source", json_string(r->source));
    json_object_set_new(root, "rolled_back", json_string(r->rolled_back_hash));
    json_object_set_new(root, "written", json_integer((json_int_t)time(NULL)));
    json_object_set_new(root, p->name, phase_json(p));
    json_object_set_new(root, "problems", problems_json(&r->problems));
    _cleanup_free_ char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
    json_decref(root);
    int f = fs_mkdirs(n->run_dir, 0755);
    if (f == 0)
        f = fs_write_atomic(path, text, strlen(text), 0644);
    if (f < 0)
        error_errno(errp, f, "cannot write '%s'", path);
    return f == 0;
}
