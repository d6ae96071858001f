#include "cli/printed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/own.h"
#include "base/text.h"

enum { LOG_MAX = 64 * 1024 * 1024, NAME = MM_DEVICE_ID_MAX + 1 + 64 };

static const char *const words[] = { "failed", "begun", "printed" };

static void
name_of(const char *device, const uint8_t id[32], char out[NAME + 1])
{
	char hex[65];

	mm_hex_text(id, 32, hex);
	snprintf(out, NAME + 1, "%.64s %s", device, hex);
}

static enum mm_err
take_line(struct mm_printed_log *l, char *line, struct mm_why *why)
{
	char *state = strrchr(line, ' ');

	if (state != NULL)
		*state++ = '\0';
	for (int i = 0; state != NULL && i < 3; i++)
		if (strcmp(words[i], state) == 0) {
			json_object_set_new(l->state, line, json_integer(i));
			return MM_OK;
		}
	return MM_FAIL(why, MM_EINPUT, "a line in it that is none of ours");
}

static enum mm_err
read_log(struct mm_printed_log *l, const char *path, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(LOG_MAX);
	struct mm_why what = { 0 };
	char *at, *end;

	MM_TRY(mm_file_read(path, &b, why));
	if (mm_buf_cstr(&b) == NULL)
		return mm_buf_ok(&b, why);
	for (at = (char *)b.p; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		*end = '\0';
		if (take_line(l, at, &what) != MM_OK)
			return MM_FAIL(why, MM_EINPUT, "%.80s: %s", path,
			    what.text);
	}
	/* What was torn goes, so that the next line is one. */
	return ftruncate(l->fd, at - (char *)b.p) == 0 ? MM_OK : MM_FAIL(why,
	    MM_ESYS, "%.80s: %s", path, strerror(errno));
}

/* see printed.h */
enum mm_err
mm_printed_open(struct mm_printed_log *l, const char *path,
    struct mm_why *why)
{
	enum mm_err rc;

	*l = (struct mm_printed_log){ .state = json_object() };
	l->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (l->fd < 0)
		rc = MM_FAIL(why, MM_ESYS, "%.80s: %s", path, strerror(errno));
	else if (flock(l->fd, LOCK_EX | LOCK_NB) != 0)
		rc = MM_FAIL(why, MM_ECONFLICT, "%.80s: another run prints by "
		    "it", path);
	else
		rc = read_log(l, path, why);
	if (rc != MM_OK)
		mm_printed_close(l);
	return rc;
}

/* see printed.h */
void
mm_printed_close(struct mm_printed_log *l)
{
	if (l->state != NULL && l->fd >= 0)
		close(l->fd);
	json_decref(l->state);
	*l = (struct mm_printed_log){ .fd = -1 };
}

/* see printed.h */
enum mm_printed
mm_printed_get(const struct mm_printed_log *l, const char *device,
    const uint8_t id[32])
{
	char name[NAME + 1];

	name_of(device, id, name);
	return (enum mm_printed)json_integer_value(json_object_get(l->state,
	    name));
}

/* see printed.h */
enum mm_err
mm_printed_put(struct mm_printed_log *l, const char *device,
    const uint8_t id[32], enum mm_printed state, struct mm_why *why)
{
	char name[NAME + 1], line[NAME + 16];
	size_t n;

	name_of(device, id, name);
	n = (size_t)snprintf(line, sizeof(line), "%s %s\n", name,
	    words[state]);
	MM_TRY(mm_fd_write(l->fd, (struct mm_bytes){ (const uint8_t *)line,
	    n }, why));
	if (fdatasync(l->fd) != 0)
		return MM_FAIL(why, MM_ESYS, "which labels were printed "
		    "cannot be stored: %s", strerror(errno));
	json_object_set_new(l->state, name, json_integer(state));
	return MM_OK;
}
