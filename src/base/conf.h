#ifndef MM_BASE_CONF_H
#define MM_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Configuration in libconfuse's syntax, from tables.
 *
 * A key is a row: parser, defaults, reference manual and the annotated file
 * that "mintmark init" writes all come from the row, so they cannot disagree.
 * An unknown key, a repeated key, a value out of range, an unclosed block,
 * "${" anywhere or a number with a leading zero stops the start, with file,
 * line and what is wanted.
 */
enum mm_conf_type {
	MM_CONF_INT,      /* int64_t */
	MM_CONF_BOOL,     /* bool: true/false, yes/no, on/off */
	MM_CONF_TEXT,     /* char[max + 1] in place */
	MM_CONF_PATH,     /* char[max + 1]; made absolute against the file */
	MM_CONF_NAME,     /* char[max + 1]; mm_name_valid */
	MM_CONF_DURATION, /* int64_t seconds: "72h" */
	MM_CONF_CHOICE,   /* int: index into choices */
	MM_CONF_LIST,     /* struct mm_conf_list: texts */
};

#define MM_CONF_LIST_MAX 32
#define MM_CONF_ITEM_MAX 256
struct mm_conf_list {
	size_t n;
	char item[MM_CONF_LIST_MAX][MM_CONF_ITEM_MAX];
};
/* Whether the text is one of them, but for case. */
bool mm_conf_list_has(const struct mm_conf_list *l, const char *text);
/* Adds it, if it is not; false: there is no room. */
bool mm_conf_list_add(struct mm_conf_list *l, const char *text);

struct mm_conf_key {
	const char *name;
	enum mm_conf_type type;
	size_t offset;              /* of the field in the settings struct */
	int64_t min, max;           /* of a number; of a text's length */
	const char *preset;         /* NULL: required; a list: "a,b" */
	const char *help;           /* one sentence, plain text */
	const char *const *choices; /* NULL-ended, MM_CONF_CHOICE only */
};

/* A kind of block with a title: profile "thermo" { ... } */
struct mm_conf_block {
	const char *name;
	const char *help;
	const struct mm_conf_key *keys;
	size_t nkeys;
	size_t size; /* of one settings struct */
	size_t title_offset; /* char[MM_NAME_MAX + 1] in it */
	size_t most; /* blocks of this kind */
};

struct mm_conf_spec {
	const struct mm_conf_key *keys;
	size_t nkeys;
	const struct mm_conf_block *blocks;
	size_t nblocks;
};

/* What was read.  blocks[i] is an array of n[i] structs of spec->blocks[i]. */
struct mm_conf_doc {
	void *top; /* caller's settings struct, filled in */
	void **blocks;
	size_t *n;
	size_t nblocks;
};

/* A longer file is refused. */
/* Where every program looks that is not told otherwise. */
#define MM_CONF_AT "/etc/mintmark/mintmark.conf"
#define MM_CONF_FILE_MAX (1U << 20)

/* doc->top is given; the rest is made and is the caller's to free. */
MM_MUST enum mm_err mm_conf_load(const char *path,
    const struct mm_conf_spec *spec, struct mm_conf_doc *doc,
    struct mm_why *why);
/*
 * The same from memory; path is what messages name and what relative paths
 * start from.  libconfuse's lexer is global: one load at a time a process.
 */
MM_MUST enum mm_err mm_conf_parse(struct mm_bytes text, const char *path,
    const struct mm_conf_spec *spec, struct mm_conf_doc *doc,
    struct mm_why *why);
void mm_conf_doc_done(struct mm_conf_doc *doc);

/*
 * One key with its help as a comment and a value, as init writes it.  value
 * is the preset if NULL; a list's items are separated by commas.
 */
void mm_conf_print_key(struct mm_buf *out, const struct mm_conf_key *key,
    const char *value, const char *indent);
/* The whole reference as Markdown, for docs/reference/configuration.md. */
void mm_conf_print_reference(struct mm_buf *out,
    const struct mm_conf_spec *spec);

#endif
