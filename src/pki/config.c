#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "base/settings_centre.h"
#include "base/time.h"
#include "pki/priv.h"

/* see profile.h */
struct mm_conf_spec
mm_config_spec(struct mm_conf_block blocks[MM_CONFIG_BLOCKS])
{
	blocks[0] = mm_issuer_block;
	blocks[1] = mm_profile_block;
	return (struct mm_conf_spec){ mm_settings_keys, mm_settings_nkeys,
		blocks, MM_CONFIG_BLOCKS };
}

/* see profile.h */
const struct mm_issuer_conf *
mm_config_issuer(const struct mm_config *c, const char *name)
{
	for (size_t i = 0; i < c->nissuer; i++)
		if (strcmp(c->issuer[i].name, name) == 0)
			return &c->issuer[i];
	return NULL;
}

/* Who signs at a station signs nowhere else. */
static enum mm_err
check_issuer_of(const struct mm_config *c, const struct mm_profile *p,
    struct mm_why *why)
{
	const struct mm_issuer_conf *i = mm_config_issuer(c, p->issuer);

	if (i == NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "profile %s: there is no issuer \"%s\"", p->name,
		    p->issuer);
	if (i->line)
		return MM_FAIL(why, MM_EINPUT, "profile %s: issuer %s is a "
		    "line CA, which signs at its station alone", p->name,
		    p->issuer);
	return i->lines == 0 ? MM_OK :
	    MM_FAIL(why, MM_EINPUT, "profile %s: issuer %s signs line CAs "
		"alone", p->name, p->issuer);
}

static enum mm_err
check_profiles(const struct mm_config *c, struct mm_why *why)
{
	for (size_t i = 0; i < c->nprofile; i++) {
		const struct mm_profile *p = &c->profile[i];

		if (mm_config_profile(c, p->name) != p)
			return MM_FAIL(why, MM_EINPUT,
			    "profile %s: stands twice", p->name);
		MM_TRY(check_issuer_of(c, p, why));
		MM_TRY(mm_profile_check(p, why));
	}
	return MM_OK;
}

/* A mistyped name would leave a profile unasked about. */
static enum mm_err
check_authorise(const struct mm_config *c, struct mm_why *why)
{
	const struct mm_conf_list *l = &c->set.authorise_profiles;

	for (size_t i = 0; i < l->n; i++)
		if (mm_config_profile(c, l->item[i]) == NULL)
			return MM_FAIL(why, MM_EINPUT, "authorise_profiles: "
			    "there is no profile \"%.40s\"", l->item[i]);
	return MM_OK;
}

/* see profile.h */
bool
mm_config_tokens(const struct mm_config *c)
{
	for (size_t i = 0; i < c->nissuer; i++)
		if (mm_issuer_in_token(&c->issuer[i]))
			return true;
	return false;
}

/* see profile.h */
bool
mm_config_asks(const struct mm_config *c, bool est)
{
	for (size_t i = 0; i < c->nissuer; i++)
		if (mm_issuer_upstream(&c->issuer[i]) &&
		    !c->issuer[i].retired &&
		    mm_issuer_est(&c->issuer[i]) == est)
			return true;
	return false;
}

/* see profile.h */
bool
mm_config_upstream(const struct mm_config *c)
{
	for (size_t i = 0; i < c->nissuer; i++)
		if (mm_issuer_upstream(&c->issuer[i]))
			return true;
	return false;
}

/* see profile.h */
const struct mm_issuer_conf *
mm_config_lines(const struct mm_config *c)
{
	for (size_t i = 0; i < c->nissuer; i++)
		if (c->issuer[i].lines > 0)
			return &c->issuer[i];
	return NULL;
}

static enum mm_err
check_lines(const struct mm_config *c, struct mm_why *why)
{
	const struct mm_issuer_conf *one = mm_config_lines(c);

	for (size_t i = 0; one != NULL && i < c->nissuer; i++) {
		const struct mm_issuer_conf *other = &c->issuer[i];

		if (other->lines > 0 && (other->line ||
		    mm_config_first(c, other) != mm_config_first(c, one)))
			return MM_FAIL(why, MM_EINPUT,
			    "issuer %s: one issuer signs line CAs, or one "
			    "that follows it, and is none itself",
			    other->name);
	}
	return MM_OK;
}

static enum mm_err
check_renewals(const struct mm_config *c, struct mm_why *why)
{
	int64_t at;

	for (size_t i = 0; i < c->nissuer; i++)
		if (c->issuer[i].renew_before[0] != '\0' &&
		    mm_time_parse(c->issuer[i].renew_before, &at, NULL) !=
		    MM_OK)
			return MM_FAIL(why, MM_EINPUT, "issuer %s: "
			    "renew_before: want 2026-11-29T12:00:00Z",
			    c->issuer[i].name);
	return MM_OK;
}

/* RFC 7512 2.3: an object by name, and no secret in a file that all read. */
static enum mm_err
check_token(const struct mm_issuer_conf *i, struct mm_why *why)
{
	if ((i->key[0] == '\0') != mm_issuer_upstream(i))
		return MM_FAIL(why, MM_EINPUT, "issuer %s: want key, or exec "
		    "or est for an existing CA", i->name);
	if (!mm_issuer_in_token(i))
		return i->pin_file[0] == '\0' && i->key_environ.n == 0 ? MM_OK :
		    MM_FAIL(why, MM_EINPUT, "issuer %s: pin_file and "
			"key_environ are for a key in a token", i->name);
	if (i->line)
		return MM_FAIL(why, MM_EINPUT, "issuer %s: a line CA's key is "
		    "given to its station, and a token gives none", i->name);
	if (strstr(i->key, "pin-") != NULL)
		return MM_FAIL(why, MM_EINPUT, "issuer %s: key: no PIN here: "
		    "pin_file says where it is", i->name);
	if (strstr(i->key, "object=") == NULL && strstr(i->key, "id=") == NULL)
		return MM_FAIL(why, MM_EINPUT, "issuer %s: key: want "
		    "pkcs11:token=...;object=... or ;id=...", i->name);
	for (size_t k = 0; k < i->key_environ.n; k++)
		if (strchr(i->key_environ.item[k], '=') == NULL)
			return MM_FAIL(why, MM_EINPUT, "issuer %s: "
			    "key_environ: want NAME=value", i->name);
	return MM_OK;
}

/* Whoever signs for the profile, now or once its time comes. */
static enum mm_err
check_keygen(const struct mm_config *c, struct mm_why *why)
{
	for (size_t i = 0; i < c->nprofile; i++) {
		const struct mm_profile *p = &c->profile[i];
		const struct mm_issuer_conf *first = mm_config_first(c,
		    mm_config_issuer(c, p->issuer));

		for (size_t k = 0; p->serverkeygen && k < c->nissuer; k++)
			if (mm_issuer_upstream(&c->issuer[k]) &&
			    mm_config_first(c, &c->issuer[k]) == first)
				return MM_FAIL(why, MM_EINPUT, "profile %s: "
				    "serverkeygen: for an existing CA (%s) "
				    "keys are made on the device", p->name,
				    c->issuer[k].name);
	}
	return MM_OK;
}

static enum mm_err
check_exec(const struct mm_issuer_conf *i, struct mm_why *why)
{
	if (i->exec.item[0][0] != '/')
		return MM_FAIL(why, MM_EINPUT, "issuer %s: exec: want a "
		    "program's whole path", i->name);
	/* the request's file is one more */
	return i->exec.n < MM_CONF_LIST_MAX ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "issuer %s: exec: at most %d words", i->name,
	    MM_CONF_LIST_MAX - 1);
}

/* RFC 7030 3.2.2; no user, query or fragment, and no end that would make the
 * path two slashes long. */
static bool
is_est_url(const char *url)
{
	const char *host = url + sizeof("https://") - 1, *path;

	if (strncmp(url, "https://", sizeof("https://") - 1) != 0)
		return false;
	for (const char *p = host; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strchr("@?#\\", *p) != NULL)
			return false;
	path = strchr(host, '/');
	return path != NULL && path != host && path[1] != '\0' &&
	    url[strlen(url) - 1] != '/';
}

/* One thing that we are known by, and somebody whom we believe. */
static enum mm_err
check_est(const struct mm_issuer_conf *i, struct mm_why *why)
{
	bool pair = i->est_certificate[0] != '\0';

	if (i->exec.n > 0)
		return MM_FAIL(why, MM_EINPUT, "issuer %s: exec or est, not "
		    "both", i->name);
	if (!is_est_url(i->est))
		return MM_FAIL(why, MM_EINPUT, "issuer %s: est: want "
		    "https://HOST/.well-known/est or, with the CA's label, "
		    "https://HOST/.well-known/est/LABEL", i->name);
	if (i->est_anchors[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "issuer %s: est: want "
		    "est_anchors, the CAs whose server is believed", i->name);
	if (pair != (i->est_key[0] != '\0') ||
	    pair == (i->est_password_file[0] != '\0'))
		return MM_FAIL(why, MM_EINPUT, "issuer %s: est: want "
		    "est_certificate and est_key, or else est_password_file",
		    i->name);
	return MM_OK;
}

static bool
has_est_part(const struct mm_issuer_conf *i)
{
	return i->est_anchors[0] != '\0' || i->est_certificate[0] != '\0' ||
	    i->est_key[0] != '\0' || i->est_password_file[0] != '\0';
}

/* What only the holder of a CA's key can do it cannot. */
static enum mm_err
check_upstream(const struct mm_config *c, struct mm_why *why)
{
	for (size_t i = 0; i < c->nissuer; i++) {
		const struct mm_issuer_conf *at = &c->issuer[i];

		if (!mm_issuer_est(at) && has_est_part(at))
			return MM_FAIL(why, MM_EINPUT, "issuer %s: est_... "
			    "goes with est", at->name);
		if (!mm_issuer_upstream(at))
			continue;
		if (at->line || at->lines > 0)
			return MM_FAIL(why, MM_EINPUT, "issuer %s: an "
			    "existing CA makes no line CAs here", at->name);
		MM_TRY(mm_issuer_est(at) ? check_est(at, why) :
		    check_exec(at, why));
	}
	return check_keygen(c, why);
}

static enum mm_err
check_tokens(const struct mm_config *c, struct mm_why *why)
{
	for (size_t i = 0; i < c->nissuer; i++)
		MM_TRY(check_token(&c->issuer[i], why));
	return MM_OK;
}

static enum mm_err
check_issuers(const struct mm_config *c, struct mm_why *why)
{
	for (size_t i = 0; i < c->nissuer; i++)
		if (mm_config_issuer(c, c->issuer[i].name) != &c->issuer[i])
			return MM_FAIL(why, MM_EINPUT,
			    "issuer %s: stands twice", c->issuer[i].name);
	MM_TRY(mm_config_check_follows(c, why));
	MM_TRY(check_lines(c, why));
	MM_TRY(check_tokens(c, why));
	return check_renewals(c, why);
}

/* see profile.h */
enum mm_err
mm_config_load(const char *path, struct mm_config **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_CONF_FILE_MAX);

	MM_TRY(mm_file_read(path, &text, why));
	return mm_config_parse(mm_buf_view(&text), path, out, why);
}

/* see profile.h */
enum mm_err
mm_config_parse(struct mm_bytes text, const char *path,
    struct mm_config **out, struct mm_why *why)
{
	MM_OWN(mm_config_free) struct mm_config *c = calloc(1, sizeof(*c));
	struct mm_conf_block blocks[MM_CONFIG_BLOCKS];
	struct mm_conf_spec spec = mm_config_spec(blocks);

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	c->doc.top = &c->set;
	MM_TRY(mm_conf_parse(text, path, &spec, &c->doc, why));
	c->issuer = c->doc.blocks[0];
	c->nissuer = c->doc.n[0];
	c->profile = c->doc.blocks[1];
	c->nprofile = c->doc.n[1];
	MM_TRY(mm_settings_check(&c->set, why));
	if (c->nissuer > 0)
		MM_TRY(mm_settings_check_centre(&c->set, why));
	MM_TRY(check_issuers(c, why));
	MM_TRY(check_profiles(c, why));
	MM_TRY(check_upstream(c, why));
	MM_TRY(check_authorise(c, why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see profile.h */
void
mm_config_free(struct mm_config **owner)
{
	if (*owner == NULL)
		return;
	mm_conf_doc_done(&(*owner)->doc);
	free(*owner);
	*owner = NULL;
}

/* see profile.h */
const struct mm_profile *
mm_config_profile(const struct mm_config *c, const char *name)
{
	for (size_t i = 0; i < c->nprofile; i++)
		if (strcmp(c->profile[i].name, name) == 0)
			return &c->profile[i];
	return NULL;
}
