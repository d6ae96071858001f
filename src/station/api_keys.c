#include "station/api_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/time.h"
#include "pki/key.h"
#include "station/run.h"

enum { FILE_MAX = 8192, RANDOM_N = 32, LOCK_MS = 10000 };

static const char prefix[] = "mmk_";

/* "name hash" */
static enum mm_err
take_line(struct mm_api_keys *k, char *line, struct mm_why *why)
{
	char *space = strchr(line, ' ');

	if (space == NULL || k->n == MM_API_KEYS_MOST)
		return MM_FAIL(why, MM_EINPUT,
		    "%.100s: want a name and a "
		    "hash a line, at most %d",
		    k->path, MM_API_KEYS_MOST);
	*space = '\0';
	if (!mm_name_valid(line))
		return MM_FAIL(why, MM_EINPUT, "%.100s: bad name", k->path);
	MM_TRY(mm_hex_parse(space + 1, strlen(space + 1), k->key[k->n].hash,
	    sizeof(k->key[0].hash), why));
	snprintf(k->key[k->n].name, sizeof(k->key[0].name), "%s", line);
	k->n++;
	return MM_OK;
}

static enum mm_err
read_all(struct mm_api_keys *k, struct mm_why *why)
{
	struct mm_buf text = MM_BUF_INIT(FILE_MAX);
	enum mm_err rc = mm_file_read(k->path, &text, why);
	char *at = rc == MM_OK ? (char *)(uintptr_t)mm_buf_cstr(&text) : NULL;

	k->n = 0;
	while (rc == MM_OK && at != NULL && *at != '\0') {
		char *line = strsep(&at, "\n");

		rc = take_line(k, line, why);
	}
	if (rc != MM_OK)
		k->n = 0;
	mm_buf_done(&text);
	return rc;
}

/* One that cannot be read lets nobody in, and says so once. */
static void
look(struct mm_api_keys *k)
{
	struct mm_why why = { 0 };
	struct stat st;

	if (stat(k->path, &st) != 0) {
		k->n = 0;
		k->inode = 0;
		return;
	}
	if (st.st_ino == k->inode && st.st_ctim.tv_sec == k->read_at.tv_sec &&
	    st.st_ctim.tv_nsec == k->read_at.tv_nsec)
		return;
	k->inode = st.st_ino;
	k->read_at = st.st_ctim;
	if (read_all(k, &why) != MM_OK)
		MM_LOG(MM_LOG_ERROR, "api-keys-unread", MM_S("why", why.text));
}

/* see api_keys.h */
enum mm_err
mm_api_keys_open(struct mm_api_keys *k, const struct mm_station_conf *conf,
    struct mm_why *why)
{
	enum mm_err rc;

	memset(k, 0, sizeof(*k));
	MM_TRY(mm_path_join(
	    k->path, sizeof(k->path), conf->state, "api-keys", why));
	rc = read_all(k, why);
	if (rc == MM_ENOTFOUND && why != NULL)
		*why = (struct mm_why){ 0 };
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* see api_keys.h */
const char *
mm_api_keys_find(struct mm_api_keys *k, struct mm_bytes key)
{
	const char *whose = NULL;
	uint8_t hash[32];

	look(k);
	mm_sha256(key, hash);
	for (size_t i = 0; i < k->n; i++)
		if (mm_bytes_eq_ct((struct mm_bytes){ hash, sizeof(hash) },
			(struct mm_bytes){ k->key[i].hash, sizeof(hash) }))
			whose = k->key[i].name;
	return whose;
}

/* Whoever has the folder runs the station: what root writes is his. */
static enum mm_err
owner(const struct mm_api_keys *k, struct mm_file_own *own, struct mm_why *why)
{
	char folder[sizeof(k->path)];
	struct stat st;

	*own = (struct mm_file_own){ 0600, (uid_t)-1, (gid_t)-1 };
	if (geteuid() != 0)
		return MM_OK;
	memcpy(folder, k->path, sizeof(folder));
	*strrchr(folder, '/') = '\0';
	if (stat(folder, &st) != 0)
		return MM_FAIL(
		    why, MM_ESYS, "%.100s: %s", folder, strerror(errno));
	own->uid = st.st_uid;
	own->gid = st.st_gid;
	return MM_OK;
}

static enum mm_err
write_all(const struct mm_api_keys *k, struct mm_why *why)
{
	struct mm_buf text = MM_BUF_INIT(FILE_MAX);
	struct mm_file_own own;
	enum mm_err rc;

	for (size_t i = 0; i < k->n; i++) {
		mm_buf_printf(&text, "%s ", k->key[i].name);
		mm_hex_put(&text, (struct mm_bytes){
				      k->key[i].hash, sizeof(k->key[i].hash) });
		mm_buf_text(&text, "\n");
	}
	rc = mm_buf_ok(&text, why);
	if (rc == MM_OK)
		rc = owner(k, &own, why);
	if (rc == MM_OK)
		rc = mm_file_replace_as(k->path, mm_buf_view(&text), &own, why);
	mm_buf_done(&text);
	return rc;
}

static size_t
at_name(const struct mm_api_keys *k, const char *name)
{
	size_t i = 0;

	while (i < k->n && strcmp(k->key[i].name, name) != 0)
		i++;
	return i;
}

/* see api_keys.h */
enum mm_err
mm_api_keys_make(struct mm_api_keys *k, const char *name,
    char text[MM_API_KEY_TEXT], struct mm_why *why)
{
	uint8_t random[RANDOM_N];

	if (!mm_name_valid(name))
		return MM_FAIL(why, MM_EINPUT,
		    "--name: want 1 to %d of "
		    "[a-z0-9._-]",
		    MM_NAME_MAX);
	if (at_name(k, name) < k->n)
		return MM_FAIL(why, MM_ECONFLICT,
		    "%.32s has a key: remove it "
		    "first",
		    name);
	if (k->n == MM_API_KEYS_MOST)
		return MM_FAIL(
		    why, MM_ELIMIT, "there are %d keys", MM_API_KEYS_MOST);
	if (RAND_priv_bytes(random, sizeof(random)) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random numbers");
	memcpy(text, prefix, sizeof(prefix) - 1);
	mm_base32_text(random, sizeof(random), text + sizeof(prefix) - 1);
	mm_wipe(random, sizeof(random));
	snprintf(k->key[k->n].name, sizeof(k->key[0].name), "%s", name);
	mm_sha256(mm_bytes_of(text), k->key[k->n].hash);
	k->n++;
	return write_all(k, why);
}

/* see api_keys.h */
enum mm_err
mm_api_keys_remove(struct mm_api_keys *k, const char *name, struct mm_why *why)
{
	size_t i = at_name(k, name);

	if (i == k->n)
		return MM_FAIL(
		    why, MM_ENOTFOUND, "there is no key %.32s", name);
	memmove(&k->key[i], &k->key[i + 1], (k->n - i - 1) * sizeof(k->key[0]));
	k->n--;
	return write_all(k, why);
}

static void
say(const char *name, const char *text, bool json)
{
	struct mm_buf out = MM_BUF_INIT(1024);
	struct mm_json j = mm_json_over(&out);

	if (json) {
		mm_json_open(&j, '{');
		mm_json_str(&j, "name", name);
		mm_json_str(&j, text != NULL ? "key" : "removed",
		    text != NULL ? text : name);
		mm_json_close(&j, '}');
		mm_buf_text(&out, "\n");
	} else if (text != NULL) {
		mm_buf_printf(&out,
		    "%s\nshown this once; only its hash is "
		    "kept\n",
		    text);
	} else {
		mm_buf_printf(&out, "%s has no key any more\n", name);
	}
	mm_run_put(&out);
}

/* Read, changed and written by one at a time. */
static enum mm_err
lock(const char *state, int *fd, struct mm_why *why)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	int64_t until_ms = mm_mono_ms() + LOCK_MS;

	*fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return MM_FAIL(
		    why, MM_ESYS, "%.100s: %s", state, strerror(errno));
	while (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || mm_mono_ms() >= until_ms)
			return MM_FAIL(why, MM_ECONFLICT,
			    "%.100s: another api-key is at work", state);
		(void)nanosleep(&pause, NULL);
	}
	return MM_OK;
}

static enum mm_err
change(const struct mm_station_conf *conf, const struct mm_station_args *a,
    char text[MM_API_KEY_TEXT], struct mm_why *why)
{
	struct mm_api_keys k;

	MM_TRY(mm_api_keys_open(&k, conf, why));
	return a->remove ? mm_api_keys_remove(&k, a->name, why)
			 : mm_api_keys_make(&k, a->name, text, why);
}

/* see run.h */
int
mm_run_api_key(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	char text[MM_API_KEY_TEXT] = "";
	int fd = -1;

	*err = mm_dir_make(conf->state, 0750, why);
	if (*err == MM_OK)
		*err = lock(conf->state, &fd, why);
	if (*err == MM_OK)
		*err = change(conf, a, text, why);
	if (fd >= 0)
		(void)close(fd);
	if (*err == MM_OK)
		say(a->name, a->remove ? NULL : text, a->json);
	mm_wipe(text, sizeof(text));
	return mm_err_exit(*err);
}
