/* SPDX-License-Identifier: Apache-2.0 */
#include "api/where.h"

#include "base/str.h"
#include <inttypes.h>
#include <stdio.h>

enum node_kind { NODE_CONST, NODE_EQUAL, NODE_AND, NODE_OR, NODE_NOT };

struct operand {
    int field;     /* index in the class, or -1 for a literal */
    char *literal; /* owned */
};

struct node {
    enum node_kind kind;
    bool constant;
    unsigned left, right; /* indices of nodes */
    struct operand a, b;
};

struct where {
    struct node nodes[WHERE_MAX_NODES];
    unsigned n_nodes;
    unsigned root;
};

struct parser {
    const struct class_def *class;
    struct where *w;
    const char *p;
    unsigned depth;
    struct error **errp;
};

static bool parse_or(struct parser *ps, unsigned *ret);

static bool fail(struct parser *ps, const char *what) {
    error_set(ps->errp, ERR_INVALID_VALUE, "expr", what, NULL);
    return false;
}

static void skip_space(struct parser *ps) {
    while (*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\n' || *ps->p == '\r')
        ps->p++;
}

static bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Consumes the word when it comes next. */
static bool take_word(struct parser *ps, const char *word) {
    skip_space(ps);
    size_t len = strlen(word);
    if (strncmp(ps->p, word, len) != 0 || is_word_char(ps->p[len]))
        return false;
    ps->p += len;
    return true;
}

static bool take_char(struct parser *ps, char c) {
    skip_space(ps);
    if (*ps->p != c)
        return false;
    ps->p++;
    return true;
}

static bool add_node(struct parser *ps, enum node_kind kind, unsigned left, unsigned right, unsigned *ret) {
    if (ps->w->n_nodes == WHERE_MAX_NODES)
        return fail(ps, "the expression has too many terms");
    ps->w->nodes[ps->w->n_nodes] =
        (struct node){.kind = kind, .left = left, .right = right, .a.field = -1, .b.field = -1};
    *ret = ps->w->n_nodes++;
    return true;
}

/* "text" or 'text'; a backslash takes the next character as it is. */
static char *parse_quoted(struct parser *ps) {
    skip_space(ps);
    char quote = *ps->p;
    if (quote != '"' && quote != '\'') {
        fail(ps, "a quoted text is missing");
        return NULL;
    }
    const char *p = ps->p + 1;
    _cleanup_buf_ struct buf text = BUF_INIT;
    for (; *p && *p != quote; p++) {
        if (*p == '\\' && p[1])
            p++;
        buf_add_char(&text, *p);
    }
    if (!*p) {
        fail(ps, "a quote is not closed");
        return NULL;
    }
    ps->p = p + 1;
    return buf_take(&text);
}

/* Older clients write name__label for name_label: two underscores once separated the name space. */
static char *flat_name(const char *name) {
    char *flat = xstrdup(name), *out = flat;
    for (const char *in = name; *in; in++) {
        if (in[0] == '_' && in[1] == '_')
            continue;
        *out++ = *in;
    }
    *out = '\0';
    return flat;
}

static bool parse_operand(struct parser *ps, struct operand *ret) {
    if (!take_word(ps, "field")) {
        char *literal = parse_quoted(ps);
        if (!literal)
            return false;
        *ret = (struct operand){.field = -1, .literal = literal};
        return true;
    }
    _cleanup_free_ char *name = parse_quoted(ps);
    if (!name)
        return false;
    _cleanup_free_ char *flat = flat_name(name);
    int index = -1;
    const struct field_def *f = model_field_by_name(ps->class, name, &index);
    if (!f)
        f = model_field_by_name(ps->class, flat, &index);
    if (!f)
        return fail(ps, "the class has no such field");
    if (f->type->kind == TYPE_SET || f->type->kind == TYPE_MAP)
        return fail(ps, "sets and maps cannot be compared");
    *ret = (struct operand){.field = index};
    return true;
}

static bool parse_primary(struct parser *ps, unsigned *ret) {
    if (take_char(ps, '(')) {
        if (++ps->depth > WHERE_MAX_DEPTH)
            return fail(ps, "the expression is nested too deeply");
        if (!parse_or(ps, ret))
            return false;
        ps->depth--;
        return take_char(ps, ')') || fail(ps, "a closing bracket is missing");
    }
    bool is_true = take_word(ps, "true");
    if (is_true || take_word(ps, "false")) {
        if (!add_node(ps, NODE_CONST, 0, 0, ret))
            return false;
        ps->w->nodes[*ret].constant = is_true;
        return true;
    }
    unsigned index;
    if (!add_node(ps, NODE_EQUAL, 0, 0, &index))
        return false;
    struct node *n = &ps->w->nodes[index];
    if (!parse_operand(ps, &n->a))
        return false;
    if (!take_char(ps, '='))
        return fail(ps, "'=' is missing");
    if (!parse_operand(ps, &n->b))
        return false;
    *ret = index;
    return true;
}

static bool parse_not(struct parser *ps, unsigned *ret) {
    if (!take_word(ps, "not"))
        return parse_primary(ps, ret);
    if (++ps->depth > WHERE_MAX_DEPTH)
        return fail(ps, "the expression is nested too deeply");
    unsigned inner;
    if (!parse_not(ps, &inner))
        return false;
    ps->depth--;
    return add_node(ps, NODE_NOT, inner, inner, ret);
}

static bool parse_and(struct parser *ps, unsigned *ret) {
    unsigned left, right;
    if (!parse_not(ps, &left))
        return false;
    while (take_word(ps, "and")) {
        if (!parse_not(ps, &right) || !add_node(ps, NODE_AND, left, right, &left))
            return false;
    }
    *ret = left;
    return true;
}

static bool parse_or(struct parser *ps, unsigned *ret) {
    unsigned left, right;
    if (!parse_and(ps, &left))
        return false;
    while (take_word(ps, "or")) {
        if (!parse_and(ps, &right) || !add_node(ps, NODE_OR, left, right, &left))
            return false;
    }
    *ret = left;
    return true;
}

struct where *where_parse(const struct class_def *class, const char *text, struct error **errp) {
    struct where *w = xnew0(struct where);
    struct parser ps = {.class = class, .w = w, .p = text, .errp = errp};
    bool ok = strlen(text) <= WHERE_MAX_TEXT || fail(&ps, "the expression is too long");
    ok = ok && parse_or(&ps, &w->root);
    if (ok) {
        skip_space(&ps);
        ok = !*ps.p || fail(&ps, "there is text after the expression");
    }
    if (ok)
        return w;
    where_free(w);
    return NULL;
}

void where_free(struct where *w) {
    if (!w)
        return;
    for (unsigned i = 0; i < w->n_nodes; i++) {
        free(w->nodes[i].a.literal);
        free(w->nodes[i].b.literal);
    }
    free(w);
}

#define SCALAR_TEXT_SIZE 64

/* The text of an operand; `space` holds it when it is not stored as text. */
static const char *operand_text(const struct operand *o, const struct row *r, char space[static SCALAR_TEXT_SIZE]) {
    if (o->field < 0)
        return o->literal;
    const struct value *v = row_value(r, (unsigned)o->field);
    switch (v->type) {
    case VALUE_STRING:
        return value_str(v);
    case VALUE_INT:
        snprintf(space, SCALAR_TEXT_SIZE, "%" PRId64, v->integer);
        return space;
    case VALUE_FLOAT:
        snprintf(space, SCALAR_TEXT_SIZE, "%.16g", v->real);
        return space;
    case VALUE_BOOL:
        return v->boolean ? "true" : "false";
    case VALUE_TIME:
        return time_text(v->time, space);
    case VALUE_REF:
        return ref_text(&v->ref, space);
    default:
        return "";
    }
}

/* Recursion is as deep as the tree, at most WHERE_MAX_NODES small frames. */
static bool match_node(const struct where *w, unsigned index, const struct row *r) {
    const struct node *n = &w->nodes[index];
    char space_a[SCALAR_TEXT_SIZE], space_b[SCALAR_TEXT_SIZE];
    switch (n->kind) {
    case NODE_CONST:
        return n->constant;
    case NODE_EQUAL:
        return str_eq(operand_text(&n->a, r, space_a), operand_text(&n->b, r, space_b));
    case NODE_AND:
        return match_node(w, n->left, r) && match_node(w, n->right, r);
    case NODE_OR:
        return match_node(w, n->left, r) || match_node(w, n->right, r);
    case NODE_NOT:
        return !match_node(w, n->left, r);
    }
    return false;
}

bool where_match(const struct where *w, const struct row *r) {
    return match_node(w, w->root, r);
}
