/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of the generated datamodel: classes, fields, enums, calls, roles. The tables themselves (model_gen.c) are
 * generated from datamodel/ (one TOML file per class) by gen/; nothing here is typed a second time. All constant; any
 * thread.
 *
 * model_gen.h, generated, gives: enum class_id { CLASS_host, CLASS_PIF, ..., N_CLASSES }; for each class an enum of
 * field indices FIELD_<class>_<field> (wire names) ending in N_FIELDS_<class>; and ERR_<CODE> macros for every error
 * code.
 */
#pragma once

#include "base/value.h"
#include "model_gen.h"

enum type_kind {
    TYPE_VOID,
    TYPE_STRING,
    TYPE_INT,
    TYPE_FLOAT,
    TYPE_BOOL,
    TYPE_TIME,
    TYPE_ENUM,
    TYPE_REF,
    TYPE_SET,
    TYPE_MAP,
    TYPE_RECORD,
    TYPE_ANY
};

struct enum_def {
    const char *name;
    const char *const *values;
    unsigned n_values;
};

struct type_def {
    enum type_kind kind;
    const char *text;            /* as in the API reference: "PIF ref set" */
    const struct type_def *key;  /* maps */
    const struct type_def *elem; /* sets, maps */
    const struct enum_def *enumeration;
    const char *class_name; /* refs and records; may name a class that does not exist here yet */
    int class_id;           /* of class_name, or -1 */
};

/* Where a field's value lives. */
enum field_store {
    STORE_DB,       /* column of the pool database */
    STORE_VOLATILE, /* the owning host's volatile store */
    STORE_RELATION, /* reverse of a reference elsewhere; kept by the replica */
    STORE_DERIVED,  /* computed by the replica when a row changes: uuid, deterministic references (db_derive.c) */
};

enum field_access { FIELD_RW, FIELD_STATIC_RO, FIELD_DYNAMIC_RO };

/* Weakest role that may do a thing; each role includes those before it. ROLE_INTERNAL: other hosts of the pool only. */
enum role {
    ROLE_READ_ONLY,
    ROLE_VM_OPERATOR,
    ROLE_VM_ADMIN,
    ROLE_VM_POWER_ADMIN,
    ROLE_POOL_OPERATOR,
    ROLE_POOL_ADMIN,
    ROLE_INTERNAL,
    N_ROLES
};

/* Who alone may write the field: part of the contract ("one generated table says which store, and who alone may write
 * it"). */
enum field_writer { WRITER_COORDINATOR, WRITER_OWNER_HOST, WRITER_NOBODY };

struct field_def {
    const char *name; /* wire name, with underscores: "name_label" */
    const struct type_def *type;
    enum field_access access;
    enum field_store store;
    enum field_writer writer;
    const struct value *default_value; /* NULL: mandatory in create(), else the type's empty value */
    int relation_class;                /* STORE_RELATION: the class that refers here ... */
    int relation_field;                /* ... and its field; else -1 */
    enum role write_role;
    bool
        internal; /* a column for the pool itself: in the replica by index, left out of API records, calls and events */
    const char *doc;
};

enum call_kind {
    CALL_CUSTOM, /* has a handler: <class>_<method>, see gen_handlers.h */
    CALL_GET_FIELD,
    CALL_SET_FIELD,
    CALL_ADD_TO_MAP,
    CALL_REMOVE_FROM_MAP,
    CALL_ADD_TO_SET,
    CALL_REMOVE_FROM_SET,
    CALL_GET_ALL,
    CALL_GET_ALL_RECORDS,
    CALL_GET_ALL_WHERE,
    CALL_GET_ALL_RECORDS_WHERE,
    CALL_GET_RECORD,
    CALL_GET_BY_UUID,
    CALL_GET_BY_NAME_LABEL,
    CALL_CREATE_DEFAULT,
    CALL_DESTROY_DEFAULT,
};

/* Where a call runs. */
enum call_place {
    CALL_COORDINATOR, /* over TCP a member answers HOST_IS_SLAVE at login already; its local socket forwards */
    CALL_LOCAL,       /* on the host that was asked; also in emergency */
};

struct param_def {
    const char *name;
    const struct type_def *type;
    bool optional;
    const struct value *default_value; /* when optional */
    const char *doc;
};

struct call_def {
    const char *name; /* "Bond.create" */
    int class_id;     /* -1: of no class (system.*) */
    enum call_kind kind;
    int field; /* for the kinds about one field, else -1 */
    const struct type_def *result;
    const struct param_def *params; /* without the session */
    unsigned n_params;
    bool has_session; /* takes a session first */
    bool has_async;
    enum role role;
    enum call_place place;
    bool with_certificate; /* open to who logged in with a certificate, too, though its role is weaker */
    int handler;           /* index into model_handlers; -1 when kind is not CALL_CUSTOM, when planned, and for what the
                              dispatcher does itself (system.*) */
    const char *planned_error; /* non-NULL: not available, answered with this API error (and planned_reason) */
    const char *planned_reason;
    const char *doc;
};

struct class_def {
    const char *name;       /* wire name: "PIF", "host" */
    const char *event_name; /* lower case */
    int id;
    const struct field_def *fields;
    unsigned n_fields;
    const struct call_def *const *calls;
    unsigned n_calls;
    bool is_volatile; /* whole rows live in the volatile store (task, host_metrics, PIF_metrics) */
    bool has_table;   /* false for session, event: no rows in the replica */
    bool has_events;
    const char *doc;
};

struct error_def {
    const char *code;
    const char *const *params; /* names, in order */
    unsigned n_params;
    const char *text; /* one English sentence for people */
};

extern const struct class_def model_classes[N_CLASSES];
extern const struct call_def model_calls[];
extern const unsigned model_n_calls;
extern const struct error_def model_errors[]; /* sorted by code */
extern const unsigned model_n_errors;
extern const char *const model_role_names[N_ROLES];
extern const char model_schema_version[]; /* of the pool database, "x.y.z" */

const struct class_def *model_class_by_name(const char *name); /* exact case; NULL */
const struct class_def *model_class_by_name_any_case(const char *name);
const struct field_def *model_field_by_name(const struct class_def *c, const char *name, int *ret_index); /* NULL */
const struct call_def *model_call_by_name(const char *name); /* "Class.method", hashed; NULL */
const struct error_def *model_error_by_code(const char *code);
bool model_role_by_name(const char *name, enum role *ret) _warn_unused_;

/* The empty value of a type: "", 0, false, null reference, empty set. */
struct value model_empty_value(const struct type_def *t);
/*
 * Checks v against t and converts what XML-RPC leaves untyped: a string becomes int, float, time, ref or enum as t
 * asks. False with an API error (HANDLE_INVALID for a malformed reference, INVALID_VALUE, FIELD_TYPE_ERROR) naming
 * `what`.
 */
struct error;
bool model_coerce(const struct type_def *t, struct value *v, const char *what, struct error **errp) _warn_unused_;
