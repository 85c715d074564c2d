/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads XML-RPC documents with expat into values: calls, responses, and single values. A document type declaration is
 * refused, so there are no entities to expand; elements are only taken where XML-RPC has them. Internal to wire/. Any
 * thread.
 */
#pragma once

#include "base/error.h"
#include "base/value.h"

enum xml_doc { XML_DOC_CALL, XML_DOC_RESPONSE, XML_DOC_VALUE };

struct xml_tree {
    char *method;         /* calls; blanks around it are gone */
    struct value *params; /* the values of the params; a response or value document has exactly one */
    size_t n_params;
    bool has_params; /* a <params> element was there */
    bool is_fault;   /* response with <fault>: the one value is its struct */
};

bool xml_tree_parse(enum xml_doc doc, const char *text, size_t size, unsigned max_depth, size_t max_values,
                    struct xml_tree *ret, struct error **errp) _warn_unused_;
void xml_tree_done(struct xml_tree *t);
