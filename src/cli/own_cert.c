#include "cli/own_cert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/time.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "pki/cert.h"
#include "pki/der.h"
#include "pki/key.h"

enum {
	PATH_N = 512, PEM_MOST = 16384,
	WAIT_MS = 10000, WAIT_STEP_MS = 20, /* for a renewal that runs */
	HURRY_S = 5, /* each request that nobody asked for */
};

struct mm_own_cert {
	char cert[PATH_N], key[PATH_N]; /* one name: both in one file */
	bool by_itself, read_only;
	int lock; /* -1: none */
};

/* A pair as it is read, or about to be written. */
struct pair {
	EVP_PKEY *key;
	struct mm_buf der;
	struct mm_cert cert; /* within der */
	mode_t mode;
};

static void
pair_done(struct pair *p)
{
	mm_pkey_free(&p->key);
	mm_buf_done(&p->der);
}

MM_FREE_FN(json_out_free, json_t, json_decref)

/* ---- names ---- */

static bool
one_file(const struct mm_own_cert *o)
{
	return strcmp(o->cert, o->key) == 0;
}

static void
beside(const char *path, const char *what, char out[PATH_N + 8])
{
	snprintf(out, PATH_N + 8, "%s.%s", path, what);
}

static bool
there(const char *path, const char *what)
{
	char name[PATH_N + 8];

	beside(path, what, name);
	return access(name, F_OK) == 0;
}

static enum mm_err
move(const char *path, const char *from, struct mm_why *why)
{
	char name[PATH_N + 8];

	beside(path, from, name);
	return rename(name, path) == 0 ? MM_OK :
	    MM_FAIL(why, MM_ESYS, "%.120s: %s", path, strerror(errno));
}

static void
drop(const struct mm_own_cert *o, const char *what)
{
	char name[PATH_N + 8];

	beside(o->key, what, name);
	(void)!mm_file_wipe(name, NULL);
	beside(o->cert, what, name);
	(void)!mm_file_wipe(name, NULL);
}

/* A rename is durable once its folder is. */
static void
sync_folder(const char *path)
{
	char dir[PATH_N];
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash != NULL)
		slash[1] = '\0';
	fd = open(slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
}

/* ---- what is in the files ---- */

static enum mm_err
read_cert(const char *path, struct pair *p, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf pem = MM_BUF_INIT(PEM_MOST);
	struct mm_bytes rest;
	struct stat st;

	mm_buf_init(&p->der, MM_CERT_MAX);
	MM_TRY(mm_file_read(path, &pem, why));
	rest = mm_buf_view(&pem);
	MM_TRY(mm_pem_next(&rest, "CERTIFICATE", &p->der, why));
	p->mode = stat(path, &st) == 0 ? st.st_mode & 0777 : 0600;
	return mm_cert_walk(mm_buf_view(&p->der), &p->cert, why);
}

/* The last third of its life, and not its end. */
static bool
is_due(const struct mm_cert *c)
{
	int64_t life = c->not_after_s - c->not_before_s, now = mm_now_s();

	return c->not_after_s < MM_TIME_FOREVER_S && now < c->not_after_s &&
	    now >= c->not_after_s - life / 3;
}

/* The next one would be in the clear. */
static enum mm_err
check_plain(const struct mm_own_cert *o, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf pem = MM_BUF_INIT(PEM_MOST);

	MM_TRY(mm_file_read(o->key, &pem, why));
	return memmem(pem.p, pem.n, "ENCRYPTED", 9) == NULL ? MM_OK :
	    MM_FAIL(why, MM_EPOLICY, "%.120s: it has a passphrase, and the next "
	    "key would have none: renew by hand", o->key);
}

/* ---- the lock ---- */

static bool
lock_as(struct mm_own_cert *o, int how)
{
	return o->lock >= 0 && flock(o->lock, how | LOCK_NB) == 0;
}

/* A renewal takes a moment; one that hangs does not hold others up for ever. */
static void
lock_shared(struct mm_own_cert *o)
{
	const struct timespec step = { 0, WAIT_STEP_MS * 1000000L };
	int64_t until = mm_mono_ms() + WAIT_MS;

	while (!lock_as(o, LOCK_SH) && errno == EWOULDBLOCK &&
	    mm_mono_ms() < until)
		nanosleep(&step, NULL);
}

/* Of two renames the second was not made: what is left has the certificate's
 * key. */
static void
settle(struct mm_own_cert *o)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	MM_OWN(pair_done) struct pair p = { 0 };
	char next[PATH_N + 8];

	if (one_file(o) || !there(o->key, "next") || !lock_as(o, LOCK_EX))
		return;
	beside(o->key, "next", next);
	if (read_cert(o->cert, &p, NULL) == MM_OK &&
	    mm_key_load_plain(next, &key, NULL) == MM_OK &&
	    mm_key_spki(key, &spki, NULL) == MM_OK &&
	    mm_bytes_eq(mm_buf_view(&spki), p.cert.spki.whole) &&
	    move(o->key, "next", NULL) == MM_OK)
		sync_folder(o->key);
}

/* see own_cert.h */
void
mm_own_cert_hold(struct mm_cli *cli, const char *cert, const char *key,
    bool by_itself)
{
	struct mm_own_cert *o;
	char name[PATH_N + 8];

	if (cli->own_cert != NULL || cert == NULL ||
	    (o = calloc(1, sizeof(*o))) == NULL)
		return;
	snprintf(o->cert, sizeof(o->cert), "%s", cert);
	snprintf(o->key, sizeof(o->key), "%s", key != NULL ? key : cert);
	o->by_itself = by_itself;
	beside(o->cert, "lock", name);
	o->lock = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	o->read_only = o->lock < 0;
	cli->own_cert = o;
	if (!o->read_only) {
		settle(o);
		lock_shared(o);
	}
}

/* see own_cert.h */
void
mm_own_cert_free(struct mm_own_cert **owner)
{
	if (*owner == NULL)
		return;
	if ((*owner)->lock >= 0)
		close((*owner)->lock);
	free(*owner);
	*owner = NULL;
}

/* ---- the next pair ---- */

/* A key that is there from a renewal that was cut off may be the server's next
 * one already. */
static enum mm_err
next_key(const struct mm_own_cert *o, const struct pair *have,
    EVP_PKEY **key, struct mm_why *why)
{
	char name[PATH_N + 8];
	struct mm_spki spki;

	beside(o->key, "next", name);
	if (mm_key_load_plain(name, key, NULL) == MM_OK)
		return MM_OK;
	if (mm_spki_parse(have->cert.spki.whole, &spki, NULL) != MM_OK)
		spki.type = MM_KEY_P256;
	return mm_key_make(spki.type, key, why);
}

static enum mm_err
sign_next(const struct pair *have, int64_t until_s, struct pair *next,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	MM_OWN(mm_buf_done) struct mm_buf tbs = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(1024);
	MM_OWN(mm_sign_free) struct mm_sign *by = NULL;
	struct mm_ca_fields f = { .client = true, .path_len = -1,
		.subject_name = have->cert.subject,
		.not_before_s = mm_now_s(), .not_after_s = until_s };

	if (getrandom(f.serial, sizeof(f.serial), 0) != sizeof(f.serial))
		return MM_FAIL(why, MM_ESYS, "no random bytes");
	f.serial[0] = (uint8_t)((f.serial[0] & 0x3f) | 0x40);
	MM_TRY(mm_key_spki(next->key, &spki, why));
	f.spki = mm_buf_view(&spki);
	MM_TRY(mm_sign_new(NULL, next->key, &by, why));
	MM_TRY(mm_ca_build(&f, mm_sign_alg(by), &tbs, why));
	MM_TRY(mm_sign_bytes(by, mm_buf_view(&tbs), &sig, why));
	mm_cert_join(&next->der, mm_buf_view(&tbs), mm_sign_alg(by),
	    mm_buf_view(&sig));
	return mm_buf_ok(&next->der, why);
}

/* The key first: with it alone nothing is lost and nothing gained. */
static enum mm_err
write_next(const struct mm_own_cert *o, const struct pair *next,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf pem = MM_BUF_INIT(PEM_MOST);
	MM_OWN(mm_buf_wipe) struct mm_buf pkcs8 = MM_BUF_INIT(PEM_MOST);
	char name[PATH_N + 8];

	mm_pem_put(&pem, "CERTIFICATE", mm_buf_view(&next->der));
	if (one_file(o)) {
		MM_TRY(mm_key_pkcs8(next->key, &pkcs8, why));
		mm_pem_put(&pem, "PRIVATE KEY", mm_buf_view(&pkcs8));
	} else {
		beside(o->key, "next", name);
		MM_TRY(mm_key_save_plain(name, next->key, 0600, why));
	}
	MM_TRY(mm_buf_ok(&pem, why));
	beside(o->cert, "next", name);
	return mm_file_replace(name, mm_buf_view(&pem),
	    one_file(o) ? 0600 : next->mode, why);
}

static enum mm_err
tell(struct mm_client *c, const struct pair *next, json_t **out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MOST);
	MM_OWN(json_out_free) json_t *body = NULL;

	mm_pem_put(&pem, "CERTIFICATE", mm_buf_view(&next->der));
	MM_TRY(mm_buf_ok(&pem, why));
	body = json_pack("{s:s#}", "certificate", (const char *)pem.p,
	    (int)pem.n);
	return mm_client_call(c, "POST", "/whoami/renew", body, out, why);
}

/* ---- in the place of the one before ---- */

static enum mm_err
keep_old(const char *path, mode_t mode, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf text = MM_BUF_INIT(PEM_MOST);
	char name[PATH_N + 8];

	beside(path, "old", name);
	MM_TRY(mm_file_read(path, &text, why));
	return mm_file_replace(name, mm_buf_view(&text), mode, why);
}

static enum mm_err
place(const struct mm_own_cert *o, mode_t mode, struct mm_why *why)
{
	MM_TRY(keep_old(o->key, 0600, why));
	if (!one_file(o))
		MM_TRY(keep_old(o->cert, mode, why));
	MM_TRY(move(o->cert, "next", why));
	if (!one_file(o))
		MM_TRY(move(o->key, "next", why));
	sync_folder(o->cert);
	sync_folder(o->key);
	return MM_OK;
}

static void
place_back(const struct mm_own_cert *o)
{
	(void)!move(o->cert, "old", NULL);
	if (!one_file(o))
		(void)!move(o->key, "old", NULL);
}

/* Its first use, which ends the one before: that is kept until then. */
static enum mm_err
prove(struct mm_cli *cli, json_t **out, struct mm_why *why)
{
	MM_OWN(mm_client_close) struct mm_client *c = NULL;
	enum mm_err rc = mm_cli_client_new(cli, &c, why);

	if (rc == MM_OK) {
		mm_client_hurry(c, HURRY_S);
		rc = mm_client_call(c, "GET", "/whoami", NULL, out, why);
	}
	if (rc == MM_EAUTH)
		place_back(cli->own_cert);
	return rc;
}

/* ---- renewing ---- */

/* Until when the next one would be good, as the server says. */
static enum mm_err
ask_until(struct mm_client *c, int64_t *until_s, struct mm_why *why)
{
	MM_OWN(json_out_free) json_t *who = NULL;
	const char *text, *kind;
	int64_t at = 0;

	MM_TRY(mm_client_call(c, "GET", "/whoami", NULL, &who, why));
	kind = json_string_value(json_object_get(who, "kind"));
	if (kind == NULL || strcmp(kind, "certificate") != 0)
		return MM_FAIL(why, MM_EPOLICY, "it is no certificate that an "
		    "administrator registered: an administrator makes another "
		    "credential");
	text = json_string_value(json_object_get(who, "renewable_until"));
	if (text == NULL || mm_time_parse(text, &at, NULL) != MM_OK)
		return MM_FAIL(why, MM_EPOLICY, "the server does not renew it: "
		    "an administrator registers another certificate");
	*until_s = at / 1000;
	return MM_OK;
}

/* A key that the server will never take is of no use the next time. */
static enum mm_err
offer(struct mm_cli *cli, const struct pair *have, struct pair *next,
    json_t **out, struct mm_why *why)
{
	const struct mm_own_cert *o = cli->own_cert;
	enum mm_err rc = tell(cli->client, next, out, why);

	if (rc == MM_EPOLICY || rc == MM_EINPUT || rc == MM_ECONFLICT)
		drop(o, "next");
	MM_TRY(rc);
	return place(o, have->mode, why);
}

static enum mm_err
renew(struct mm_cli *cli, json_t **out, struct mm_why *why)
{
	const struct mm_own_cert *o = cli->own_cert;
	MM_OWN(json_out_free) json_t *said = NULL;
	MM_OWN(pair_done) struct pair have = { 0 };
	MM_OWN(pair_done) struct pair next = { 0 };
	int64_t until_s = 0;

	mm_buf_init(&next.der, MM_CERT_MAX);
	MM_TRY(check_plain(o, why));
	MM_TRY(read_cert(o->cert, &have, why));
	MM_TRY(ask_until(cli->client, &until_s, why));
	next.mode = have.mode;
	MM_TRY(next_key(o, &have, &next.key, why));
	MM_TRY(sign_next(&have, until_s, &next, why));
	MM_TRY(write_next(o, &next, why));
	MM_TRY(offer(cli, &have, &next, &said, why));
	MM_TRY(prove(cli, out, why));
	drop(o, "old");
	return MM_OK;
}

/* see own_cert.h */
enum mm_err
mm_own_cert_renew(struct mm_cli *cli, json_t **out, struct mm_why *why)
{
	struct mm_client *c;

	MM_TRY(mm_cli_client(cli, &c, why));
	if (cli->own_cert == NULL)
		return MM_FAIL(why, MM_EPOLICY, "an API key is not renewed: an "
		    "administrator makes another one");
	if (cli->own_cert->read_only)
		return MM_FAIL(why, MM_EPOLICY, "%.120s: its folder cannot be "
		    "written to", cli->own_cert->cert);
	if (!lock_as(cli->own_cert, LOCK_EX))
		return MM_FAIL(why, MM_ECONFLICT, "%.120s: another command uses "
		    "it: the same again when that is over",
		    cli->own_cert->cert);
	return renew(cli, out, why);
}

/* see own_cert.h; the command has done what it was to do, whatever comes */
void
mm_own_cert_due(struct mm_cli *cli)
{
	struct mm_own_cert *o = cli->own_cert;
	MM_OWN(json_out_free) json_t *who = NULL;
	MM_OWN(pair_done) struct pair p = { 0 };
	struct mm_why why = { 0 };
	char ends[MM_TIME_TEXT];

	if (o == NULL || cli->client == NULL ||
	    mm_client_request_id(cli->client)[0] == '\0')
		return;
	if (there(o->key, "old") && lock_as(o, LOCK_EX))
		drop(o, "old"); /* the one in its place was used just now */
	if (!o->by_itself ||
	    read_cert(o->cert, &p, NULL) != MM_OK || !is_due(&p.cert))
		return;
	fflush(stdout);
	mm_time_text_s(p.cert.not_after_s, ends);
	if (o->read_only) {
		mm_cli_note(cli, "your certificate ends %s, and its folder "
		    "cannot be written to: \"mintmark key renew\" where it "
		    "can", ends);
		return;
	}
	if (!lock_as(o, LOCK_EX)) /* the next command does it */
		return;
	mm_client_hurry(cli->client, HURRY_S);
	if (renew(cli, &who, &why) == MM_OK)
		mm_cli_note(cli, "your certificate was renewed: it ends %s",
		    json_string_value(json_object_get(who, "expires")));
	else
		mm_cli_note(cli, "your certificate ends %s, and was not "
		    "renewed: %s", ends, why.text);
}
