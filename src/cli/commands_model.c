/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that are one call each: what they take and call stands in the datamodel (struct cli_command). */
#include <string.h>

#include "cli/commands.h"
#include "cli/request.h"

static const struct cli_command *find(const char *name) {
    for (unsigned i = 0; i < cli_n_commands; i++)
        if (str_eq(cli_commands[i].name, name))
            return &cli_commands[i];
    return NULL;
}

/* What was typed for it, or its fallback; NULL with *errp when it must be there and is not. */
static const char *text_of(struct request *r, const struct cli_arg *a) {
    const char *v = args_get(&r->x->args, a->key);
    return v ? v : a->fallback ? a->fallback : xe_need(r->x, a->key, r->errp);
}

/* What is wrong is said of the parameter, by its name. */
static bool typed(const struct type_def *t, const char *key, const char *text, struct value *ret, struct error **errp) {
    _cleanup_error_ struct error *e = NULL;
    if (xe_typed(t, text, ret, &e))
        return true;
    error_set(errp, "INVALID_VALUE", key, text, NULL);
    return false;
}

static void add_arg(struct request *r, const struct cli_arg *a, const struct type_def *t) {
    struct value v = {.type = VALUE_VOID};
    if (t->kind == TYPE_MAP) {
        request_add_map(r, a->key);
        return;
    }
    const char *text = text_of(r, a);
    if (text && request_is_good(r)) {
        /* The server knows best which uuids there are; none at all is no reference. */
        bool is_object = t->kind == TYPE_REF && *text && t->class_id >= 0;
        if (is_object ? !xe_object(r->x, t->class_id, text, &v, r->errp) : !typed(t, a->key, text, &v, r->errp))
            v = (struct value){.type = VALUE_VOID};
    }
    request_add(r, v);
}

/* The one parameter of a call that makes an object: its fields; those that are not given are left out. */
static void add_record(struct request *r, const struct cli_command *command, const struct class_def *class) {
    struct value record = value_map();
    for (unsigned i = 0; i < command->n_args && request_is_good(r); i++) {
        const struct cli_arg *a = &command->args[i];
        struct request one = {.x = r->x, .errp = r->errp};
        add_arg(&one, a, model_field_by_name(class, a->field, NULL)->type);
        value_map_add(&record, a->field, one.params[0]);
    }
    request_add(r, record);
}

static bool run(struct xe *x, struct error **errp) {
    const struct cli_command *command = find(x->args.command);
    const struct call_def *call = model_call_by_name(command->call);
    struct request r = request_new(x, errp);
    if (call->n_params == 1 && call->params[0].type->kind == TYPE_RECORD) {
        add_record(&r, command, &model_classes[call->class_id]);
    } else {
        for (unsigned i = 0; i < command->n_args; i++)
            add_arg(&r, &command->args[i], call->params[i].type);
    }
    const struct type_def *result = call->result;
    if (result->kind == TYPE_VOID)
        return request_call_void(&r, command->call);
    if (result->kind == TYPE_REF || (result->kind == TYPE_SET && result->elem->kind == TYPE_REF))
        return request_print_uuids(&r, command->call);
    return request_print_text(&r, command->call);
}

const struct command *command_of_model(unsigned i) {
    static struct command *made; /* once, for the life of the process */
    if (!made) {
        made = xcalloc(cli_n_commands + 1, sizeof(*made));
        for (unsigned k = 0; k < cli_n_commands; k++)
            made[k] = (struct command){
                cli_commands[k].name, cli_commands[k].required, cli_commands[k].optional, cli_commands[k].help, run, 0};
    }
    return i < cli_n_commands ? &made[i] : NULL;
}
