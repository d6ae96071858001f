#include <string.h>

#include "base/file.h"
#include "server/tls.h"

/* The files: certificate, key, and whom devices are trusted by. */

/* see tls.h */
struct mm_tls_stamp
mm_tls_stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct mm_tls_stamp){ 0 };
	return (struct mm_tls_stamp){ st.st_mtim, st.st_size, st.st_ino };
}

/* see tls.h */
bool
mm_tls_stamp_same(const struct mm_tls_stamp *a, const struct mm_tls_stamp *b)
{
	return a->at.tv_sec == b->at.tv_sec &&
	    a->at.tv_nsec == b->at.tv_nsec && a->size == b->size &&
	    a->inode == b->inode;
}

/* Every certificate of a PEM file joins the trust store. */
static enum mm_err
trust_file(struct mm_tls *t, const char *path, struct mm_why *why)
{
	struct mm_buf pem = MM_BUF_INIT(MM_TLS_PEM_MAX);
	struct mm_bytes rest;
	enum mm_err rc = mm_file_read(path, &pem, why);

	rest = mm_buf_view(&pem);
	while (rc == MM_OK && t->ntrust < MM_TLS_CERTS) {
		struct mm_buf *der = &t->trust[t->ntrust];

		mm_buf_init(der, MM_CERT_MAX);
		rc = mm_pem_next(&rest, "CERTIFICATE", der, NULL);
		if (rc == MM_OK)
			t->ntrust++;
		else
			mm_buf_done(der);
	}
	mm_buf_done(&pem);
	if (rc == MM_ENOTFOUND && t->ntrust > 0)
		return MM_OK;
	return rc == MM_OK ? MM_OK
	    : MM_FAIL(why, rc, "%s: no certificate in it", path);
}

static enum mm_err
anchor_hash(struct mm_tls *t, struct mm_why *why)
{
	struct mm_cert c;

	MM_TRY(mm_cert_walk(mm_buf_view(&t->trust[0]), &c, why));
	mm_sha256(c.spki.whole, t->anchor);
	return MM_OK;
}

/* see tls.h */
enum mm_err
mm_tls_read_trust(struct mm_tls *t, struct mm_why *why)
{
	const struct mm_config *c = t->s->config;

	MM_TRY(trust_file(t, c->set.trust_anchor, why));
	MM_TRY(anchor_hash(t, why));
	for (size_t i = 0; i < c->nissuer; i++)
		MM_TRY(trust_file(t, c->issuer[i].certificate, why));
	return MM_OK;
}

static enum mm_err
read_pair(struct mm_tls *t, struct mm_why *why)
{
	const struct mm_settings *set = &t->s->config->set;
	struct mm_buf cert = MM_BUF_INIT(MM_TLS_PEM_MAX);
	struct mm_buf key = MM_BUF_INIT(MM_TLS_PEM_MAX);
	enum mm_err rc = mm_file_read(set->tls_certificate, &cert, why);

	if (rc == MM_OK)
		rc = mm_file_read(set->tls_key, &key, why);
	if (rc != MM_OK) {
		mm_buf_done(&cert);
		mm_buf_wipe(&key);
		return rc;
	}
	pthread_mutex_lock(&t->lock);
	mm_buf_done(&t->cert);
	mm_buf_wipe(&t->key);
	t->cert = cert;
	t->key = key;
	pthread_mutex_unlock(&t->lock);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_tls_reload(struct mm_tls *t, bool force, bool *changed, struct mm_why *why)
{
	const struct mm_settings *set = &t->s->config->set;
	struct mm_tls_stamp now[2] = { mm_tls_stamp_of(set->tls_certificate),
		mm_tls_stamp_of(set->tls_key) };

	*changed = false;
	if (!force && mm_tls_stamp_same(&now[0], &t->stamp[0]) &&
	    mm_tls_stamp_same(&now[1], &t->stamp[1]))
		return MM_OK;
	MM_TRY(read_pair(t, why));
	memcpy(t->stamp, now, sizeof(now));
	*changed = true;
	return MM_OK;
}

static bool
ends(struct mm_bytes der, int64_t *not_after_s)
{
	struct mm_cert c;

	if (mm_cert_walk(der, &c, NULL) != MM_OK)
		return false;
	*not_after_s = c.not_after_s;
	return true;
}

/* see priv.h */
bool
mm_tls_ends(struct mm_tls *t, int64_t *not_after_s)
{
	struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_bytes pem;
	bool ok;

	pthread_mutex_lock(&t->lock);
	pem = mm_buf_view(&t->cert);
	ok = mm_pem_next(&pem, "CERTIFICATE", &der, NULL) == MM_OK;
	pthread_mutex_unlock(&t->lock);
	ok = ok && ends(mm_buf_view(&der), not_after_s);
	mm_buf_done(&der);
	return ok;
}

/* see priv.h */
bool
mm_tls_anchor_ends(const struct mm_tls *t, int64_t *not_after_s)
{
	return ends(mm_buf_view(&t->trust[0]), not_after_s);
}
