#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "pki/profile.h"
#include "signer/setup.h"

/*
 * What the certificate of a line's CA says that it is good for.  Its key lies
 * at a station, so whoever owns that has it: what it signs is to be no server
 * of the centre's and no signer of configurations.  RFC 5280 4.2.1.12 leaves
 * open what an extendedKeyUsage of a CA means; that it bounds what is below is
 * what OpenSSL checks, and what this product's devices do.
 *
 * It never has OCSPSigning: who is above would have said that it answers for
 * what is above (RFC 6960 4.2.2.2).  An answer for what is below is the line
 * CA's own to delegate, and nobody asks for that purpose up the chain.
 */
#define CLIENT_AUTH "1.3.6.1.5.5.7.3.2"

static enum mm_err
too_many(struct mm_why *why)
{
	return MM_FAIL(why, MM_ELIMIT, "line: its profiles have too many "
	    "purposes");
}

static bool
is_named(struct mm_bytes names, const char *name)
{
	const size_t n = strlen(name);
	const uint8_t *p = names.p, *end = names.n > 0 ? p + names.n : p, *q;

	for (; p < end; p = q + 1) {
		for (q = p; q < end && *q != ' '; q++)
			;
		if ((size_t)(q - p) == n && memcmp(p, name, n) == 0)
			return true;
	}
	return false;
}

/* The host of host:port, with a scheme before it or not. */
static bool
host_of(const char *text, char out[MM_CONF_ITEM_MAX])
{
	const char *p = strstr(text, "://");
	size_t n;

	p = p == NULL ? text : p + 3;
	n = strcspn(p, ":/");
	return mm_text_copy(out, MM_CONF_ITEM_MAX,
	    (struct mm_bytes){ (const uint8_t *)p, n }) &&
	    mm_host_name_valid(out) && strchr(out, '*') == NULL;
}

/* What a constraint shuts out is that name and all below it: not those that
 * devices have. */
static bool
devices_have(const struct mm_config *c, const char *host)
{
	const size_t n = strlen(host);

	for (size_t i = 0; i < c->nprofile; i++)
		for (size_t k = 0; k < c->profile[i].san.n; k++) {
			const char *san = c->profile[i].san.item[k];
			const size_t all = strlen(san);

			if (strncmp(san, "DNS:", 4) == 0 && all > n &&
			    strcasecmp(san + all - n, host) == 0)
				return true;
		}
	return false;
}

/* The centre's names, as far as the signer knows them. */
static enum mm_err
add_hosts(struct mm_confines *c, const struct mm_config *conf,
    struct mm_why *why)
{
	const struct mm_settings *s = &conf->set;
	const char *const all[] = { s->devices_url, s->public_url,
		s->devices_listen, s->operators_listen, s->public_listen,
		s->legacy_listen };
	char host[MM_CONF_ITEM_MAX];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (host_of(all[i], host) && !devices_have(conf, host) &&
		    !mm_conf_list_add(&c->hosts, host))
			return too_many(why);
	return MM_OK;
}

/* see setup.h */
enum mm_err
mm_line_confine(const struct mm_config *conf, struct mm_bytes profiles,
    struct mm_confines *c, struct mm_ca_fields *f, struct mm_why *why)
{
	size_t found = 0, want = profiles.n > 0 ? 1 : 0;

	for (size_t i = 0; i < profiles.n; i++)
		want += profiles.p[i] == ' ';
	c->purposes.n = c->hosts.n = 0;
	(void)mm_conf_list_add(&c->purposes, CLIENT_AUTH);
	for (size_t i = 0; i < conf->nprofile; i++)
		if (want == 0 || is_named(profiles, conf->profile[i].name)) {
			if (!mm_purposes_add(&c->purposes, &conf->profile[i]))
				return too_many(why);
			found++;
		}
	if (want > 0 && found != want)
		return MM_FAIL(why, MM_EPOLICY, "line: one of its profiles is "
		    "not in the configuration (any more)");
	f->purposes = &c->purposes;
	if (!mm_purposes_serve(&c->purposes))
		return MM_OK;
	f->not_hosts = &c->hosts;
	return add_hosts(c, conf, why);
}
