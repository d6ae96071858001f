#include "provider/places.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "pki/key.h"

/*
 * Many tokens do not say how many tries they have left, and a program that
 * comes again by itself has used them up within a day.  What was refused is
 * noted for as long as the process lives, and in a file where a folder is
 * given; not the PIN but a salted hash, of which its own file is the better
 * place to learn it.
 */
enum { SALT_N = 16, NOTES = 4 };

struct note {
	uint8_t token[MM_PROVIDER_TOKEN];
	uint8_t salt[SALT_N];
	uint8_t digest[32];
};

static struct note notes[NOTES]; /* of those that are not all zero */
static unsigned next;            /* which one gives way */
static char folder[PATH_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool
path_of(const uint8_t token[MM_PROVIDER_TOKEN], char out[PATH_MAX])
{
	char hex[17];
	int n;

	mm_hex_text(token, 8, hex);
	n = snprintf(out, PATH_MAX, "%s/pin-refused-%s", folder, hex);
	return folder[0] != '\0' && n > 0 && n < PATH_MAX;
}

static void
hash(const struct note *n, struct mm_bytes pin, uint8_t out[32])
{
	const struct mm_bytes parts[] = { { n->salt, sizeof(n->salt) },
		{ n->token, sizeof(n->token) }, pin };

	mm_sha256_parts(parts, sizeof(parts) / sizeof(parts[0]), out);
}

static struct note *
find(const uint8_t token[MM_PROVIDER_TOKEN])
{
	for (unsigned i = 0; i < NOTES; i++)
		if (memcmp(notes[i].token, token, MM_PROVIDER_TOKEN) == 0)
			return &notes[i];
	return NULL;
}

static struct note *
make_room(void)
{
	struct note *n = &notes[next];

	next = (next + 1) % NOTES;
	return n;
}

/* What another process noted; a file that is damaged says nothing. */
static struct note *
read_note(const uint8_t token[MM_PROVIDER_TOKEN])
{
	struct mm_buf file = MM_BUF_INIT(sizeof(struct note));
	struct note *n = NULL;
	char path[PATH_MAX];

	if (path_of(token, path) &&
	    mm_file_read(path, &file, NULL) == MM_OK &&
	    file.n == sizeof(struct note) &&
	    memcmp(file.p, token, MM_PROVIDER_TOKEN) == 0) {
		n = make_room();
		memcpy(n, file.p, sizeof(*n));
	}
	mm_buf_done(&file);
	return n;
}

static bool
is_noted(const uint8_t token[MM_PROVIDER_TOKEN], struct mm_bytes pin)
{
	const struct note *n = find(token);
	uint8_t digest[32];

	if (n == NULL)
		n = read_note(token);
	if (n == NULL)
		return false;
	hash(n, pin, digest);
	return CRYPTO_memcmp(digest, n->digest, sizeof(digest)) == 0;
}

static void
put_note(const uint8_t token[MM_PROVIDER_TOKEN], struct mm_bytes pin)
{
	struct note *n = find(token), made;
	char path[PATH_MAX];

	memcpy(made.token, token, sizeof(made.token));
	if (getrandom(made.salt, sizeof(made.salt), 0) !=
	    (ssize_t)sizeof(made.salt))
		return;
	hash(&made, pin, made.digest);
	n = n != NULL ? n : make_room();
	*n = made;
	/* A disk that is full leaves what is remembered here. */
	if (path_of(token, path))
		(void)!mm_file_replace_locked(path, (struct mm_bytes){
		    (const uint8_t *)n, sizeof(*n) }, 0600, NULL);
}

static void
drop_note(const uint8_t token[MM_PROVIDER_TOKEN])
{
	struct note *n = find(token);
	char path[PATH_MAX];

	if (n != NULL)
		*n = (struct note){ .token = { 0 } };
	if (path_of(token, path))
		(void)unlink(path);
}

/* see places.h */
bool
mm_provider_pin_refused(const uint8_t token[MM_PROVIDER_TOKEN],
    struct mm_bytes pin)
{
	bool refused;

	(void)pthread_mutex_lock(&lock);
	refused = is_noted(token, pin);
	(void)pthread_mutex_unlock(&lock);
	return refused;
}

/* see places.h */
void
mm_provider_pin_note(const uint8_t token[MM_PROVIDER_TOKEN],
    struct mm_bytes pin, bool refused)
{
	(void)pthread_mutex_lock(&lock);
	if (refused)
		put_note(token, pin);
	else
		drop_note(token);
	(void)pthread_mutex_unlock(&lock);
}

/* see places.h */
void
mm_provider_pin_notes(const char *dir)
{
	(void)pthread_mutex_lock(&lock);
	if (strlen(dir) < sizeof(folder))
		(void)snprintf(folder, sizeof(folder), "%s", dir);
	(void)pthread_mutex_unlock(&lock);
}
