/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/net_file.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "classes/net_file_value.h"
#include "model/model.h"

static const struct {
    const char *name;
    unsigned n_words;
    const char *words; /* for the sentence */
} kinds[] = {[NET_SECTION_NETWORK] = {"network", 1, "[network BRIDGE]"},
             [NET_SECTION_NIC] = {"nic", 2, "[nic HOST NIC]"},
             [NET_SECTION_BOND] = {"bond", 2, "[bond HOST BOND]"},
             [NET_SECTION_VLAN] = {"vlan", 3, "[vlan HOST NIC-OR-BOND TAG]"}};

bool net_file_fail(struct error **errp, int line, const char *fmt, ...) {
    char number[16], text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    snprintf(number, sizeof(number), "%d", line);
    error_set(errp, ERR_NETWORK_CONFIG_INVALID, number, text, NULL);
    return false;
}

static void section_done(struct net_section *s) {
    for (unsigned i = 0; i < NET_FILE_MAX_WORDS; i++)
        free(s->words[i]);
    for (unsigned i = 0; i < s->n_keys; i++)
        free(s->keys[i].value);
}

void net_file_done(struct net_file *f) {
    for (size_t i = 0; i < f->n; i++)
        section_done(&f->sections[i]);
    free(f->sections);
    *f = (struct net_file){0};
}

struct net_section *net_file_add(struct net_file *f, enum net_section_kind kind, const char *word1, const char *word2,
                                 const char *word3) {
    const char *words[NET_FILE_MAX_WORDS] = {word1, word2, word3};
    f->sections = xrealloc_array(f->sections, f->n + 1, sizeof(*f->sections));
    struct net_section *s = &f->sections[f->n++];
    *s = (struct net_section){.kind = kind};
    const unsigned n_words = kinds[kind].n_words;
    assert(n_words <= NET_FILE_MAX_WORDS);
    for (unsigned i = 0; i < n_words; i++)
        s->words[i] = xstrdup(words[i]);
    return s;
}

const char *net_section_word(const struct net_section *s, unsigned i) {
    return str_or_empty(s->words[i]);
}

static struct net_key *find_key(const struct net_section *s, const char *name) {
    for (unsigned i = 0; i < s->n_keys; i++)
        if (str_eq(s->keys[i].name, name))
            return (struct net_key *)&s->keys[i];
    return NULL;
}

void net_section_set(struct net_section *s, const char *name, const char *value) {
    const struct net_key_def *def = net_key_def(s->kind, name);
    if (!def || find_key(s, name) || s->n_keys == NET_FILE_MAX_KEYS || str_eq(value, def->fallback))
        return;
    s->keys[s->n_keys++] = (struct net_key){.name = def->name, .value = xstrdup(value)};
}

void net_section_replace(struct net_section *s, const char *name, const char *value) {
    for (unsigned i = 0; i < s->n_keys; i++)
        if (str_eq(s->keys[i].name, name)) {
            free(s->keys[i].value);
            s->keys[i] = s->keys[--s->n_keys];
            break;
        }
    net_section_set(s, name, value);
}

const char *net_section_get(const struct net_section *s, const char *name) {
    const struct net_key *k = find_key(s, name);
    const struct net_key_def *def = net_key_def(s->kind, name);
    return k ? k->value : def ? def->fallback : "";
}

int net_section_line(const struct net_section *s, const char *name) {
    const struct net_key *k = find_key(s, name);
    return k ? k->line : s->line;
}

static bool is_same(const struct net_section *s, enum net_section_kind kind, const char *const words[]) {
    if (s->kind != kind)
        return false;
    const unsigned n_words = kinds[kind].n_words;
    assert(n_words <= NET_FILE_MAX_WORDS);
    for (unsigned i = 0; i < n_words; i++)
        if (!str_eq(s->words[i], str_or_empty(words[i])))
            return false;
    return true;
}

const struct net_section *net_file_find(const struct net_file *f, enum net_section_kind kind, const char *word1,
                                        const char *word2, const char *word3) {
    const char *words[NET_FILE_MAX_WORDS] = {word1, word2, word3};
    for (size_t i = 0; i < f->n; i++)
        if (is_same(&f->sections[i], kind, words))
            return &f->sections[i];
    return NULL;
}

/* ---- writing ---- */

static void add_word(struct buf *b, const char *word) {
    bool plain =
        *word && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:") == strlen(word);
    if (plain) {
        buf_add_str(b, word);
        return;
    }
    buf_add_char(b, '"');
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            buf_add_char(b, '\\');
        buf_add_char(b, *word == '\n' ? ' ' : *word);
    }
    buf_add_char(b, '"');
}

char *net_section_title(const struct net_section *s) {
    struct buf b = BUF_INIT;
    buf_add_str(&b, kinds[s->kind].name);
    for (unsigned i = 0; i < kinds[s->kind].n_words; i++) {
        buf_add_char(&b, ' ');
        add_word(&b, s->words[i]);
    }
    return buf_take(&b);
}

char *net_file_text(const struct net_file *f, const char *comment) {
    struct buf b = BUF_INIT;
    _cleanup_strv_ struct strv lines = {0};
    if (comment)
        strv_split(&lines, comment, '\n');
    for (size_t i = 0; i < lines.n; i++)
        buf_addf(&b, "# %s\n", lines.items[i]);
    for (size_t i = 0; i < f->n; i++) {
        const struct net_section *s = &f->sections[i];
        _cleanup_free_ char *title = net_section_title(s);
        buf_addf(&b, "%s[%s]\n", b.size ? "\n" : "", title);
        for (unsigned k = 0; k < s->n_keys; k++)
            buf_addf(&b, "%s = %s\n", s->keys[k].name, s->keys[k].value);
    }
    return buf_take(&b);
}

/* ---- reading ---- */

struct reader {
    struct net_file *file;
    int line;
    struct error **errp;
};

static char *trim(char *s) {
    s += strspn(s, " \t\r");
    size_t len = strlen(s);
    while (len && strchr(" \t\r", s[len - 1]))
        s[--len] = 0;
    return s;
}

/* The next word of a title, unquoted in place; NULL at the end. *at moves behind it. */
static char *next_word(char **at) {
    char *s = *at + strspn(*at, " \t"), *to = s, *word = s;
    if (!*s)
        return NULL;
    if (*s != '"') {
        s += strcspn(s, " \t");
        *at = *s ? s + 1 : s;
        *s = 0;
        return word;
    }
    for (s++; *s && *s != '"'; s++) {
        if (*s == '\\' && s[1])
            s++;
        *to++ = *s;
    }
    *at = *s ? s + 1 : s;
    *to = 0;
    return word;
}

static bool read_title(struct reader *r, char *line) {
    size_t len = strlen(line);
    char *words[NET_FILE_MAX_WORDS] = {0}, *at = line + 1, *name;
    unsigned kind = 0, n = 0;
    if (line[len - 1] != ']')
        return net_file_fail(r->errp, r->line, "a section ends with ], as in [network xenbr0]");
    line[len - 1] = 0;
    name = next_word(&at);
    while (kind < ARRAY_SIZE(kinds) && !(name && str_eq(name, kinds[kind].name)))
        kind++;
    if (kind == ARRAY_SIZE(kinds))
        return net_file_fail(r->errp, r->line, "there is no section '%s'; there are network, nic, bond and vlan",
                             str_or_empty(name));
    while (n < NET_FILE_MAX_WORDS && (words[n] = next_word(&at)))
        n++;
    if (n != kinds[kind].n_words || next_word(&at))
        return net_file_fail(r->errp, r->line, "such a section is written as %s", kinds[kind].words);
    if (net_file_find(r->file, (enum net_section_kind)kind, words[0], words[1], words[2]))
        return net_file_fail(r->errp, r->line, "this section is there already");
    if (r->file->n == NET_FILE_MAX_SECTIONS)
        return net_file_fail(r->errp, r->line, "there are more than %d sections", NET_FILE_MAX_SECTIONS);
    net_file_add(r->file, (enum net_section_kind)kind, words[0], words[1], words[2])->line = r->line;
    return true;
}

static bool read_key(struct reader *r, char *line) {
    char *equals = strchr(line, '=');
    struct net_section *s = r->file->n ? &r->file->sections[r->file->n - 1] : NULL;
    if (!equals || equals == line)
        return net_file_fail(r->errp, r->line, "a line is a [section], key = value, or a # comment");
    if (!s)
        return net_file_fail(r->errp, r->line, "this stands before the first section");
    *equals = 0;
    const char *name = trim(line);
    const struct net_key_def *def = net_key_def(s->kind, name);
    if (!def)
        return net_file_fail(r->errp, r->line, "a section '%s' has no key '%s'; it has %s", kinds[s->kind].name, name,
                             net_key_names(s->kind));
    if (find_key(s, name))
        return net_file_fail(r->errp, r->line, "'%s' is there already", name);
    char *value = net_key_normal(def, trim(equals + 1));
    if (!value)
        return net_file_fail(r->errp, r->line, "'%s' is written as %s", name, def->form);
    if (str_eq(value, def->fallback)) { /* as if it had been left out */
        free(value);
        return true;
    }
    s->keys[s->n_keys++] = (struct net_key){.name = def->name, .value = value, .line = r->line};
    return true;
}

bool net_file_parse(const char *text, struct net_file *ret, struct error **errp) {
    struct net_file f = {0};
    struct reader r = {.file = &f, .errp = errp};
    _cleanup_strv_ struct strv lines = {0};
    bool ok = true;
    if (strlen(text) > NET_FILE_MAX_SIZE)
        return net_file_fail(errp, 0, "the file has more than %d bytes", NET_FILE_MAX_SIZE);
    strv_split(&lines, text, '\n');
    for (size_t i = 0; ok && i < lines.n; i++) {
        char *line = trim(lines.items[i]);
        r.line = (int)i + 1;
        if (*line == '[')
            ok = read_title(&r, line);
        else if (*line && *line != '#')
            ok = read_key(&r, line);
    }
    if (ok)
        *ret = f;
    else
        net_file_done(&f);
    return ok;
}

/* ---- comparing ---- */

bool net_file_covers(const struct net_file *to, const struct net_section *s) {
    if (s->kind == NET_SECTION_NETWORK)
        return true;
    for (size_t i = 0; i < to->n; i++)
        if (to->sections[i].kind != NET_SECTION_NETWORK && str_eq(to->sections[i].words[0], s->words[0]))
            return s->kind != NET_SECTION_NIC; /* a NIC is there whether a file names it or not */
    return false;
}

static void diff_keys(struct buf *b, const struct net_section *from, const struct net_section *to, const char *title) {
    const struct net_key_def *def;
    for (unsigned i = 0; (def = net_key_at(to->kind, i)); i++) {
        const char *old = net_section_get(from, def->name), *new = net_section_get(to, def->name);
        if (def->is_given && !*new)
            continue; /* what the host itself says need not be in a file */
        if (!str_eq(old, new))
            buf_addf(b, "line %d: %s: %s '%s' becomes '%s'\n", net_section_line(to, def->name), title, def->name, old,
                     new);
    }
}

char *net_file_diff(const struct net_file *from, const struct net_file *to) {
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < from->n; i++) {
        const struct net_section *s = &from->sections[i];
        _cleanup_free_ char *title = net_section_title(s);
        if (net_file_covers(to, s) && !net_file_find(to, s->kind, s->words[0], s->words[1], s->words[2]))
            buf_addf(&b, "%s goes\n", title);
    }
    for (size_t i = 0; i < to->n; i++) {
        const struct net_section *s = &to->sections[i];
        const struct net_section *old = net_file_find(from, s->kind, s->words[0], s->words[1], s->words[2]);
        _cleanup_free_ char *title = net_section_title(s);
        if (old)
            diff_keys(&b, old, s, title);
        else
            buf_addf(&b, "line %d: %s comes\n", s->line, title);
    }
    return buf_take(&b);
}
