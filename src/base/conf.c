#include "base/conf.h"

#include <confuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf_value.h"
#include "base/file.h"
#include "base/own.h"
#include "base/text.h"

/*
 * libconfuse takes an unclosed block or comment at the end of the file for
 * success.  This key is appended: it is at the top level or something is
 * open.
 */
#define SENTINEL "mm_conf_end"

MM_FREE_FN(free_cfg, cfg_t, cfg_free)
MM_FREE_FN(free_opts, cfg_opt_t, free)

/* What a load needs throughout. */
struct load {
	const char *path;
	char folder[4096];
	struct mm_why *why;
};

/*
 * libconfuse's callbacks carry no pointer of the caller's; set only for the
 * length of cfg_parse_buf.
 */
static _Thread_local struct load *loading;

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[200];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (strstr(text, SENTINEL) != NULL)
		strcpy(text, "a block, text or comment is not closed");
	(void)MM_FAIL(loading->why, MM_EINPUT, "%s:%d: %s", loading->path,
	    cfg->line, text);
}

/*
 * Sees every value as it is read: remembers its line in the option's comment
 * and refuses a second assignment, of which libconfuse would keep the last.
 * The value is already counted, so it is the first of its assignment if it
 * is the only one.
 */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	char line[16];

	if (opt->nvalues <= 1 && opt->comment != NULL) {
		cfg_error(cfg, "%s: already set in line %s", opt->name,
		    opt->comment);
		return -1;
	}
	snprintf(line, sizeof(line), "%d", cfg->line);
	if (opt->comment == NULL && cfg_opt_setcomment(opt, line) != 0)
		return -1;
	*(const char **)result = value;
	return 0;
}

static cfg_opt_t
key_option(const char *name, bool list)
{
	return (cfg_opt_t){ .name = name, .type = CFGT_STR,
		.flags = CFGF_NODEFAULT | (list ? CFGF_LIST : 0),
		.parsecb = on_value };
}

static void
put_keys(cfg_opt_t *to, const struct mm_conf_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = key_option(keys[i].name, keys[i].type == MM_CONF_LIST);
}

/*
 * The tables in libconfuse's form, in one allocation: keys, blocks, sentinel
 * and end first, then for each block its keys and end.
 */
static enum mm_err
make_options(const struct mm_conf_spec *spec, cfg_opt_t **out,
    struct mm_why *why)
{
	size_t n = spec->nkeys + spec->nblocks + 2, at = n;
	cfg_opt_t *opts;

	for (size_t i = 0; i < spec->nblocks; i++)
		n += spec->blocks[i].nkeys + 1;
	opts = calloc(n, sizeof(*opts));
	if (opts == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	put_keys(opts, spec->keys, spec->nkeys);
	for (size_t i = 0; i < spec->nblocks; i++) {
		put_keys(opts + at, spec->blocks[i].keys,
		    spec->blocks[i].nkeys);
		opts[spec->nkeys + i] = (cfg_opt_t){
			.name = spec->blocks[i].name, .type = CFGT_SEC,
			.flags = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES,
			.subopts = opts + at };
		at += spec->blocks[i].nkeys + 1;
	}
	opts[spec->nkeys + spec->nblocks] = key_option(SENTINEL, false);
	*out = opts;
	return MM_OK;
}

/* What libconfuse would read in a way that nobody means. */
static enum mm_err
check_text(struct mm_bytes text, const struct load *l)
{
	const struct {
		const char *bytes;
		size_t n;
		const char *what;
	} rows[] = {
		{ "${", 2, "\"${\" would read the environment" },
		{ "\0", 1, "NUL byte" },
		{ SENTINEL, sizeof(SENTINEL) - 1, "reserved word" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint8_t *at = text.n == 0 ? NULL : memmem(text.p, text.n,
		    rows[i].bytes, rows[i].n);
		int line = 1;
		if (at == NULL)
			continue;
		for (const uint8_t *p = text.p; p < at; p++)
			line += *p == '\n';
		return MM_FAIL(l->why, MM_EINPUT, "%s:%d: %s", l->path, line,
		    rows[i].what);
	}
	if (!mm_utf8_valid(text))
		return MM_FAIL(l->why, MM_EINPUT, "%s: not UTF-8", l->path);
	return MM_OK;
}

static enum mm_err
parse_text(cfg_t *cfg, struct mm_bytes text, struct load *l)
{
	MM_OWN(mm_buf_done) struct mm_buf all =
	    MM_BUF_INIT(MM_CONF_FILE_MAX + 64);
	const char *source;
	int rc;

	MM_TRY(check_text(text, l));
	mm_buf_bytes(&all, text);
	mm_buf_text(&all, "\n" SENTINEL " = 1\n");
	source = mm_buf_cstr(&all);
	if (source == NULL)
		return mm_buf_ok(&all, l->why);
	cfg_set_error_function(cfg, on_error);
	loading = l;
	rc = cfg_parse_buf(cfg, source);
	loading = NULL;
	if (rc != CFG_SUCCESS || cfg_size(cfg, SENTINEL) != 1)
		return MM_FAIL(l->why, MM_EINPUT,
		    "%s: a block, text or comment is not closed", l->path);
	return MM_OK;
}

/* Puts file, line and key before the words of a value that was refused. */
static enum mm_err
place(const struct load *l, const cfg_opt_t *opt, enum mm_err code,
    const struct mm_why *inner)
{
	return MM_FAIL(l->why, code, "%s:%s: %s: %.80s", l->path,
	    opt->comment == NULL ? "0" : opt->comment, opt->name, inner->text);
}

static enum mm_err
read_key(cfg_t *cfg, const struct mm_conf_key *key, void *settings,
    const struct load *l)
{
	cfg_opt_t *opt = cfg_getopt(cfg, key->name);
	struct mm_why inner = { 0 };
	enum mm_err err = MM_OK;

	MM_INVARIANT(opt != NULL);
	if (opt->comment == NULL && key->preset != NULL &&
	    (opt->flags & CFGF_MODIFIED) == 0)
		return mm_conf_value_preset(key, settings, l->folder, l->why);
	if (opt->comment == NULL && key->preset == NULL)
		return MM_FAIL(l->why, MM_EINPUT, "%s: %s%s%s: %s is missing",
		    l->path, cfg->title != NULL ? cfg->name : "top level",
		    cfg->title != NULL ? " " : "",
		    cfg->title != NULL ? cfg->title : "", key->name);
	if (opt->comment != NULL && opt->nvalues == 0)
		(void)MM_FAIL(&inner, MM_EINPUT, "set, then emptied");
	for (unsigned i = 0; inner.code == MM_OK && i < opt->nvalues; i++)
		(void)!mm_conf_value_set(key, settings,
		    opt->values[i]->string, l->folder, &inner);
	if (inner.code != MM_OK)
		err = place(l, opt, inner.code, &inner);
	return err;
}

static enum mm_err
read_keys(cfg_t *cfg, const struct mm_conf_key *keys, size_t n,
    void *settings, const struct load *l)
{
	for (size_t i = 0; i < n; i++)
		MM_TRY(read_key(cfg, &keys[i], settings, l));
	return MM_OK;
}

static enum mm_err
read_block(cfg_t *sec, const struct mm_conf_block *block, void *settings,
    const struct load *l)
{
	const char *title = cfg_title(sec);

	if (title == NULL || !mm_name_valid(title))
		return MM_FAIL(l->why, MM_EINPUT, "%s:%d: %s \"%.40s\": want "
		    "a title of 1 to %d of a-z, 0-9, '.', '_', '-'", l->path,
		    sec->line, block->name, title == NULL ? "" : title,
		    MM_NAME_MAX);
	strcpy((char *)settings + block->title_offset, title);
	return read_keys(sec, block->keys, block->nkeys, settings, l);
}

static enum mm_err
read_blocks(cfg_t *cfg, const struct mm_conf_block *block, size_t i,
    struct mm_conf_doc *doc, const struct load *l)
{
	unsigned n = cfg_size(cfg, block->name);

	if (n > block->most)
		return MM_FAIL(l->why, MM_EINPUT,
		    "%s: %u blocks named %s, want at most %zu", l->path, n,
		    block->name, block->most);
	if (n == 0)
		return MM_OK;
	doc->blocks[i] = calloc(n, block->size);
	if (doc->blocks[i] == NULL)
		return MM_FAIL(l->why, MM_ENOMEM, "out of memory");
	doc->n[i] = n;
	for (unsigned k = 0; k < n; k++)
		MM_TRY(read_block(cfg_getnsec(cfg, block->name, k), block,
		    (uint8_t *)doc->blocks[i] + k * block->size, l));
	return MM_OK;
}

static enum mm_err
fill_doc(cfg_t *cfg, const struct mm_conf_spec *spec, struct mm_conf_doc *doc,
    const struct load *l)
{
	doc->nblocks = spec->nblocks;
	doc->blocks = calloc(spec->nblocks + 1, sizeof(*doc->blocks));
	doc->n = calloc(spec->nblocks + 1, sizeof(*doc->n));
	if (doc->blocks == NULL || doc->n == NULL)
		return MM_FAIL(l->why, MM_ENOMEM, "out of memory");
	MM_TRY(read_keys(cfg, spec->keys, spec->nkeys, doc->top, l));
	for (size_t i = 0; i < spec->nblocks; i++)
		MM_TRY(read_blocks(cfg, &spec->blocks[i], i, doc, l));
	return MM_OK;
}

/* The folder of path, absolute: what relative paths in the file start at. */
static enum mm_err
find_folder(struct load *l)
{
	const char *slash = strrchr(l->path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - l->path) + 1, at = 0;

	if (l->path[0] != '/') {
		if (getcwd(l->folder, sizeof(l->folder) - 1) == NULL)
			return MM_FAIL(l->why, MM_ESYS, "no current folder");
		at = strlen(l->folder);
		l->folder[at++] = '/';
	}
	if (n >= sizeof(l->folder) - at)
		return MM_FAIL(l->why, MM_ELIMIT, "path is too long");
	memcpy(l->folder + at, l->path, n);
	l->folder[at + n] = '\0';
	return MM_OK;
}

/* see conf.h */
enum mm_err
mm_conf_parse(struct mm_bytes text, const char *path,
    const struct mm_conf_spec *spec, struct mm_conf_doc *doc,
    struct mm_why *why)
{
	MM_OWN(free_opts) cfg_opt_t *opts = NULL;
	MM_OWN(free_cfg) cfg_t *cfg = NULL;
	struct mm_conf_doc made = { .top = doc->top };
	struct load l = { .path = path, .why = why };
	enum mm_err err;

	MM_TRY(find_folder(&l));
	MM_TRY(make_options(spec, &opts, why));
	cfg = cfg_init(opts, CFGF_NONE);
	if (cfg == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(parse_text(cfg, text, &l));
	err = fill_doc(cfg, spec, &made, &l);
	if (err != MM_OK) {
		mm_conf_doc_done(&made);
		return err;
	}
	*doc = made;
	return MM_OK;
}

/* see conf.h */
enum mm_err
mm_conf_load(const char *path, const struct mm_conf_spec *spec,
    struct mm_conf_doc *doc, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_CONF_FILE_MAX);

	MM_TRY(mm_file_read(path, &text, why));
	return mm_conf_parse(mm_buf_view(&text), path, spec, doc, why);
}

/* see conf.h */
void
mm_conf_doc_done(struct mm_conf_doc *doc)
{
	for (size_t i = 0; doc->blocks != NULL && i < doc->nblocks; i++)
		free(doc->blocks[i]);
	free(doc->blocks);
	free(doc->n);
	*doc = (struct mm_conf_doc){ .top = doc->top };
}
