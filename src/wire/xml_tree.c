/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/xml_tree.h"

#include <expat.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"

enum element {
    EL_ROOT, /* not an element: what stands above the document's own */
    EL_CALL,
    EL_RESPONSE,
    EL_METHOD_NAME,
    EL_PARAMS,
    EL_PARAM,
    EL_FAULT,
    EL_VALUE,
    EL_STRING,
    EL_INT,
    EL_I4,
    EL_I8,
    EL_DOUBLE,
    EL_BOOLEAN,
    EL_TIME,
    EL_NIL,
    EL_ARRAY,
    EL_DATA,
    EL_STRUCT,
    EL_MEMBER,
    EL_NAME,
    N_ELEMENTS,
};

#define IN(el) (1u << (el))
static const struct {
    const char *name;
    uint32_t parents; /* where it may stand; the document's root element is judged by xml_doc */
    bool has_text;
} elements[N_ELEMENTS] = {
    [EL_ROOT] = {"", 0, false},
    [EL_CALL] = {"methodCall", 0, false},
    [EL_RESPONSE] = {"methodResponse", 0, false},
    [EL_METHOD_NAME] = {"methodName", IN(EL_CALL), true},
    [EL_PARAMS] = {"params", IN(EL_CALL) | IN(EL_RESPONSE), false},
    [EL_PARAM] = {"param", IN(EL_PARAMS), false},
    [EL_FAULT] = {"fault", IN(EL_RESPONSE), false},
    [EL_VALUE] = {"value", IN(EL_PARAM) | IN(EL_FAULT) | IN(EL_DATA) | IN(EL_MEMBER), true},
    [EL_STRING] = {"string", IN(EL_VALUE), true},
    [EL_INT] = {"int", IN(EL_VALUE), true},
    [EL_I4] = {"i4", IN(EL_VALUE), true},
    [EL_I8] = {"i8", IN(EL_VALUE), true},
    [EL_DOUBLE] = {"double", IN(EL_VALUE), true},
    [EL_BOOLEAN] = {"boolean", IN(EL_VALUE), true},
    [EL_TIME] = {"dateTime.iso8601", IN(EL_VALUE), true},
    [EL_NIL] = {"nil", IN(EL_VALUE), false},
    [EL_ARRAY] = {"array", IN(EL_VALUE), false},
    [EL_DATA] = {"data", IN(EL_ARRAY), false},
    [EL_STRUCT] = {"struct", IN(EL_VALUE), false},
    [EL_MEMBER] = {"member", IN(EL_STRUCT), false},
    [EL_NAME] = {"name", IN(EL_MEMBER), true},
};
static const enum element root_elements[] = {
    [XML_DOC_CALL] = EL_CALL, [XML_DOC_RESPONSE] = EL_RESPONSE, [XML_DOC_VALUE] = EL_VALUE};

struct frame {
    enum element element;
    uint32_t seen;      /* children that came, for those that may come once */
    size_t text_start;  /* where this element's text begins in reader.text */
    struct value value; /* EL_VALUE, EL_MEMBER: the value inside; EL_DATA, EL_STRUCT: the collection so far */
    char *name;         /* EL_MEMBER */
};

/* Four elements (value, struct, member or value, array, data) make a level; the envelope has four more. */
#define FRAMES_PER_LEVEL 3
#define FRAMES_AROUND 6

struct reader {
    XML_Parser parser;
    enum xml_doc doc;
    struct frame *frames;
    size_t n_frames;
    size_t max_frames;
    size_t n_values;
    size_t max_values;
    struct buf text; /* of all open elements, one after the other */
    struct xml_tree tree;
    char problem[160]; /* "" while all is well */
};

static void reader_fail(struct reader *r, const char *fmt, ...) _printf_(2, 3);
static void reader_fail(struct reader *r, const char *fmt, ...) {
    if (r->problem[0])
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->problem, sizeof(r->problem), fmt, ap);
    va_end(ap);
    XML_StopParser(r->parser, XML_FALSE);
}

static enum element element_by_name(const char *name) {
    enum element e = EL_CALL;
    while (e < N_ELEMENTS && !str_eq(elements[e].name, name))
        e++;
    return e;
}

static void on_start(void *userdata, const XML_Char *name, const XML_Char **attributes) {
    struct reader *r = userdata;
    if (r->problem[0])
        return;
    enum element e = element_by_name(name);
    struct frame *parent = &r->frames[r->n_frames - 1];
    bool allowed = e < N_ELEMENTS && (parent->element == EL_ROOT ? e == root_elements[r->doc]
                                                                 : (elements[e].parents & IN(parent->element)) != 0);
    if (!allowed) {
        reader_fail(r, "element '%.40s' in '%s'", name, elements[parent->element].name);
        return;
    }
    if (r->n_frames >= r->max_frames) {
        reader_fail(r, "nested too deeply");
        return;
    }
    if (e == EL_VALUE && ++r->n_values > r->max_values) {
        reader_fail(r, "more than %zu values", r->max_values);
        return;
    }
    /* Only these may hold several of one kind; a value holds a single typed element. */
    bool repeats = parent->element == EL_PARAMS || parent->element == EL_DATA || parent->element == EL_STRUCT;
    if (!repeats && (parent->element == EL_VALUE ? parent->seen != 0 : (parent->seen & IN(e)) != 0)) {
        reader_fail(r, "element '%s' twice or beside another in '%s'", name, elements[parent->element].name);
        return;
    }
    parent->seen |= IN(e);
    if (e == EL_PARAMS)
        r->tree.has_params = true;
    if (e == EL_FAULT)
        r->tree.is_fault = true;
    struct frame f = {.element = e, .text_start = r->text.size};
    if (e == EL_DATA)
        f.value = value_set();
    else if (e == EL_STRUCT)
        f.value = value_map();
    r->frames = xrealloc_array(r->frames, r->n_frames + 1, sizeof(*r->frames));
    r->frames[r->n_frames++] = f;
}

static void on_text(void *userdata, const XML_Char *s, int size) {
    struct reader *r = userdata;
    if (r->problem[0])
        return;
    struct frame *f = &r->frames[r->n_frames - 1];
    if (elements[f->element].has_text && !(f->element == EL_VALUE && f->seen)) {
        buf_add(&r->text, s, (size_t)size);
        return;
    }
    for (int i = 0; i < size; i++)
        if (!strchr(" \t\r\n", s[i])) {
            reader_fail(r, "text inside '%s'", elements[f->element].name);
            return;
        }
}

/* The text without blanks around it, cut in place. */
static char *trim(char *s) {
    s += strspn(s, " \t\r\n");
    size_t size = strlen(s);
    while (size > 0 && strchr(" \t\r\n", s[size - 1]))
        size--;
    s[size] = '\0';
    return s;
}

static bool scalar_from_text(enum element e, char *text, struct value *ret) {
    int64_t i;
    double d;
    if (e != EL_STRING)
        text = trim(text);
    switch (e) {
    case EL_STRING:
        *ret = value_string(text);
        return true;
    case EL_INT:
    case EL_I4:
    case EL_I8:
        if (!str_parse_int(text + (text[0] == '+'), INT64_MIN, INT64_MAX, &i))
            return false;
        *ret = value_int(i);
        return true;
    case EL_DOUBLE:
        if (!str_parse_double(text, &d))
            return false;
        *ret = value_float(d);
        return true;
    case EL_BOOLEAN:
        if (!str_eq(text, "0") && !str_eq(text, "1"))
            return false;
        *ret = value_bool(text[0] == '1');
        return true;
    case EL_TIME:
        if (!time_parse(text, &i))
            return false;
        *ret = value_time(i);
        return true;
    default:
        return false;
    }
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool has_duplicate_keys(const struct value *map) {
    size_t n = map->map.n;
    if (n < 2)
        return false;
    const char **keys = xmalloc(n * sizeof(*keys));
    for (size_t i = 0; i < n; i++)
        keys[i] = map->map.pairs[i].key;
    qsort(keys, n, sizeof(*keys), compare_keys);
    bool found = false;
    for (size_t i = 1; i < n && !found; i++)
        found = str_eq(keys[i - 1], keys[i]);
    free(keys);
    return found;
}

/* A complete value goes to whom it belongs; takes v. */
static void deliver_value(struct reader *r, struct frame *parent, struct value v) {
    if (parent->element == EL_DATA) {
        value_set_add(&parent->value, v);
    } else if (parent->element == EL_MEMBER) {
        parent->value = v;
    } else { /* a param, a fault, or the document itself */
        r->tree.params = xrealloc_array(r->tree.params, r->tree.n_params + 1, sizeof(*r->tree.params));
        r->tree.params[r->tree.n_params++] = v;
    }
}

static void frame_done(struct frame *f) {
    value_done(&f->value);
    free(f->name);
}

static void on_end(void *userdata, const XML_Char *name) {
    struct reader *r = userdata;
    if (r->problem[0])
        return;
    struct frame f = r->frames[--r->n_frames];
    struct frame *parent = &r->frames[r->n_frames - 1];
    char *text = r->text.data ? r->text.data + f.text_start : (char[]){""};
    switch (f.element) {
    case EL_METHOD_NAME:
        r->tree.method = xstrdup(trim(text));
        break;
    case EL_NAME:
        parent->name = xstrdup(text);
        break;
    case EL_VALUE:
        if (f.seen) {
            if (text[strspn(text, " \t\r\n")])
                reader_fail(r, "text beside a typed value");
            deliver_value(r, parent, value_take(&f.value));
        } else {
            deliver_value(r, parent, value_string(text));
        }
        break;
    case EL_STRING:
    case EL_INT:
    case EL_I4:
    case EL_I8:
    case EL_DOUBLE:
    case EL_BOOLEAN:
    case EL_TIME:
        if (!scalar_from_text(f.element, text, &parent->value))
            reader_fail(r, "'%.40s' is no %s", text, elements[f.element].name);
        break;
    case EL_DATA: /* via its array to the value */
    case EL_ARRAY:
        parent->value = value_take(&f.value);
        break;
    case EL_STRUCT:
        if (has_duplicate_keys(&f.value))
            reader_fail(r, "a name twice in a struct");
        parent->value = value_take(&f.value);
        break;
    case EL_MEMBER:
        if (!f.name || !(f.seen & IN(EL_VALUE)))
            reader_fail(r, "a member without name or value");
        else
            value_map_add(&parent->value, f.name, value_take(&f.value));
        break;
    case EL_PARAM:
        if (!f.seen)
            reader_fail(r, "a param without value");
        break;
    default:
        break;
    }
    if (r->text.size > f.text_start) {
        r->text.size = f.text_start;
        *text = '\0';
    }
    frame_done(&f);
}

static void on_doctype(void *userdata, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                       int has_internal) {
    reader_fail(userdata, "a document type declaration");
}

bool xml_tree_parse(enum xml_doc doc, const char *text, size_t size, unsigned max_depth, size_t max_values,
                    struct xml_tree *ret, struct error **errp) {
    struct reader r = {
        .doc = doc, .max_frames = FRAMES_AROUND + (size_t)max_depth * FRAMES_PER_LEVEL, .max_values = max_values};
    if (size > INT32_MAX) {
        error_internal(errp, "bad XML: larger than 2 GiB");
        return false;
    }
    r.frames = xcalloc(1, sizeof(*r.frames));
    r.n_frames = 1;
    r.parser = XML_ParserCreate(NULL);
    if (!r.parser)
        abort();
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    bool ok = XML_Parse(r.parser, text, (int)size, /* isFinal= */ 1) == XML_STATUS_OK && !r.problem[0];
    if (!ok)
        error_internal(errp, "bad XML at byte %ld: %s", (long)XML_GetCurrentByteIndex(r.parser),
                       r.problem[0] ? r.problem : XML_ErrorString(XML_GetErrorCode(r.parser)));
    if (ok && doc != XML_DOC_CALL && r.tree.n_params != 1) {
        error_internal(errp, "bad XML: %zu values where one belongs", r.tree.n_params);
        ok = false;
    }
    XML_ParserFree(r.parser);
    for (size_t i = 0; i < r.n_frames; i++)
        frame_done(&r.frames[i]);
    free(r.frames);
    buf_done(&r.text);
    if (!ok) {
        xml_tree_done(&r.tree);
        return false;
    }
    *ret = r.tree;
    return true;
}

void xml_tree_done(struct xml_tree *t) {
    free(t->method);
    for (size_t i = 0; i < t->n_params; i++)
        value_done(&t->params[i]);
    free(t->params);
    *t = (struct xml_tree){0};
}
