#include "tpm/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"

enum { HEAD_N = 10 };

static struct mm_tpm_link *
link_of(TSS2_TCTI_CONTEXT *tcti)
{
	return (struct mm_tpm_link *)tcti;
}

static TSS2_RC
broken(struct mm_tpm_link *l)
{
	l->dead = true;
	return TSS2_TCTI_RC_IO_ERROR;
}

/* A device takes a command in one piece. */
static TSS2_RC
transmit(TSS2_TCTI_CONTEXT *tcti, size_t n, const uint8_t *command)
{
	struct mm_tpm_link *l = link_of(tcti);
	ssize_t sent;

	if (l->dead)
		return TSS2_TCTI_RC_IO_ERROR;
	do
		sent = write(l->fd, command, n);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)n ? TSS2_RC_SUCCESS : broken(l);
}

/* What has come, or 0: nothing by then, or nothing more ever. */
static size_t
read_some(const struct mm_tpm_link *l, uint8_t *p, size_t n, int64_t until_ms)
{
	struct pollfd pfd = { .fd = l->fd, .events = POLLIN };
	int64_t left = until_ms - mm_mono_ms();
	ssize_t got;

	while (left > 0) {
		int rc = poll(&pfd, 1, (int)left);

		got = rc > 0 ? read(l->fd, p, n) : 0;
		if (got > 0)
			return (size_t)got;
		if ((rc >= 0 && got >= 0) || errno != EINTR)
			return 0;
		left = until_ms - mm_mono_ms();
	}
	return 0;
}

/* Of all of the answer, by its head: tag, length, code. */
static size_t
length_of(const uint8_t head[HEAD_N])
{
	return (size_t)head[2] << 24 | (size_t)head[3] << 16 |
	       (size_t)head[4] << 8 | head[5];
}

static TSS2_RC
read_answer(struct mm_tpm_link *l)
{
	int64_t until = mm_mono_ms() + l->answer_ms;
	size_t have = 0, want = HEAD_N;

	while (have < want) {
		size_t got = read_some(
		    l, l->answer + have, sizeof(l->answer) - have, until);

		have += got;
		if (have >= HEAD_N)
			want = length_of(l->answer);
		if (got == 0 || want < HEAD_N || want > sizeof(l->answer))
			return broken(l);
	}
	if (have != want)
		return broken(l);
	l->n = want;
	return TSS2_RC_SUCCESS;
}

/* First without room, for its length; then with. */
static TSS2_RC
receive(
    TSS2_TCTI_CONTEXT *tcti, size_t *n, uint8_t *out, int32_t unused_timeout)
{
	struct mm_tpm_link *l = link_of(tcti);
	TSS2_RC rc = l->dead ? TSS2_TCTI_RC_IO_ERROR : TSS2_RC_SUCCESS;

	(void)unused_timeout;
	if (rc == TSS2_RC_SUCCESS && l->n == 0)
		rc = read_answer(l);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	if (out != NULL && *n < l->n)
		return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
	*n = l->n;
	if (out == NULL)
		return TSS2_RC_SUCCESS;
	memcpy(out, l->answer, l->n);
	l->n = 0;
	return TSS2_RC_SUCCESS;
}

static void
finalize(TSS2_TCTI_CONTEXT *tcti)
{
	(void)tcti; /* whoever opened it closes it */
}

static enum mm_err
kind_of(int errnum)
{
	if (errnum == ENOENT || errnum == ENXIO || errnum == ENODEV)
		return MM_ENOTFOUND;
	return errnum == EBUSY ? MM_EBUSY : MM_ESYS;
}

/* see link.h */
enum mm_err
mm_tpm_link_open(struct mm_tpm_link *l, const char *path, struct mm_why *why)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return MM_FAIL(why, kind_of(errno),
		    "the TPM is not there: %.80s: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode)) {
		(void)close(fd);
		return MM_FAIL(why, MM_ESYS, "the TPM is not there: %.80s is "
		    "no character device", path);
	}
	*l = (struct mm_tpm_link){ .fd = fd,
		.answer_ms = MM_TPM_MS,
		.tcti = { .version = 1,
		    .transmit = transmit,
		    .receive = receive,
		    .finalize = finalize } };
	return MM_OK;
}

/* see link.h */
void
mm_tpm_link_close(struct mm_tpm_link *l)
{
	close(l->fd);
	l->fd = -1;
}
