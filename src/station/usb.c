#include "station/usb.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static const char *
digits(const char *s)
{
	const char *end = s + strspn(s, "0123456789");

	return end > s ? end : NULL;
}

/* Numbers with that between them, as many as there are; NULL: none. */
static const char *
numbers(const char *s, char between)
{
	const char *end = digits(s);

	while (end != NULL && *end == between)
		end = digits(end + 1);
	return end;
}

/* see usb.h */
bool
mm_usb_valid(const char *place)
{
	const char *s = digits(place);

	if (s == NULL || *s != '-')
		return false;
	s = numbers(s + 1, '.');
	if (s == NULL || *s == '\0')
		return s != NULL;
	s = *s == ':' ? digits(s + 1) : NULL;
	s = s != NULL && *s == '.' ? digits(s + 1) : NULL;
	return s != NULL && *s == '\0';
}

/* Whether whole is the place, or one of its interfaces. */
static bool
is_at(const char *whole, const char *place)
{
	size_t n = strlen(place);

	return strncmp(whole, place, n) == 0 &&
	       (whole[n] == '\0' || whole[n] == ':');
}

/* see usb.h */
bool
mm_usb_same(const char *a, const char *b)
{
	return is_at(a, b) || is_at(b, a);
}

/* ---- sysfs ---- */

/* The first entry of a folder whose name begins so. */
static bool
first_of(const char *dir, const char *start, char out[64])
{
	const struct dirent *e;
	DIR *d = opendir(dir);

	out[0] = '\0';
	while (d != NULL && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, start, strlen(start)) == 0 &&
		    strlen(e->d_name) < 64 &&
		    (out[0] == '\0' || strcmp(e->d_name, out) < 0))
			strcpy(out, e->d_name);
	if (d != NULL)
		(void)closedir(d);
	return out[0] != '\0';
}

/* Adapters have their terminal beside the interface's files (ttyUSB0), modems
 * in a folder "tty" (ttyACM0). */
static bool
find_tty(const char *devices, const char *interface, char out[64])
{
	char dir[PATH_MAX + 128];

	snprintf(dir, sizeof(dir), "%s/%s", devices, interface);
	if (first_of(dir, "ttyUSB", out))
		return true;
	snprintf(dir, sizeof(dir), "%s/%s/tty", devices, interface);
	return first_of(dir, "tty", out);
}

/* One line of a file, printable. */
static void
read_line(const char *devices, const char *device, const char *name, char *out,
    size_t outn)
{
	struct mm_buf b = MM_BUF_INIT(4096);
	char path[PATH_MAX + 128];
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/%s/%s", devices, device, name);
	if (mm_file_read(path, &b, NULL) == MM_OK)
		for (; n < b.n && n + 1 < outn && b.p[n] != '\n'; n++)
			out[n] =
			    b.p[n] < ' ' || b.p[n] > '~' ? '?' : (char)b.p[n];
	out[n] = '\0';
	mm_buf_done(&b);
}

static void
tell(const char *devices, struct mm_usb_port *p)
{
	char device[64];

	snprintf(device, sizeof(device), "%.*s", (int)strcspn(p->place, ":"),
	    p->place);
	read_line(devices, device, "product", p->what, sizeof(p->what));
	read_line(devices, device, "serial", p->serial, sizeof(p->serial));
}

static int
by_place(const void *a, const void *b)
{
	return strverscmp(((const struct mm_usb_port *)a)->place,
	    ((const struct mm_usb_port *)b)->place);
}

static bool
is_interface(const char *name)
{
	return strchr(name, ':') != NULL && strlen(name) < 64 &&
	       mm_usb_valid(name);
}

/* see usb.h */
unsigned
mm_usb_list(const char *sysfs, struct mm_usb_port out[MM_USB_MOST])
{
	char devices[PATH_MAX + 24];
	const struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(devices, sizeof(devices), "%s/bus/usb/devices", sysfs);
	d = opendir(devices);
	while (d != NULL && n < MM_USB_MOST && (e = readdir(d)) != NULL) {
		struct mm_usb_port *p = &out[n];

		if (!is_interface(e->d_name) ||
		    !find_tty(devices, e->d_name, p->tty))
			continue;
		snprintf(p->place, sizeof(p->place), "%.63s", e->d_name);
		tell(devices, p);
		n++;
	}
	if (d != NULL)
		(void)closedir(d);
	qsort(out, n, sizeof(out[0]), by_place);
	return n;
}

/* The first interface of a device that has a terminal. */
static bool
find_first(const char *devices, const char *place, char tty[64])
{
	char first[64] = "", one[64];
	const struct dirent *e;
	DIR *d = opendir(devices);

	while (d != NULL && (e = readdir(d)) != NULL)
		if (is_interface(e->d_name) && is_at(e->d_name, place) &&
		    (first[0] == '\0' || strverscmp(e->d_name, first) < 0) &&
		    find_tty(devices, e->d_name, one)) {
			snprintf(first, sizeof(first), "%.63s", e->d_name);
			strcpy(tty, one);
		}
	if (d != NULL)
		(void)closedir(d);
	return first[0] != '\0';
}

/* see usb.h */
bool
mm_fixture_port(const struct mm_fixture_conf *f, char out[PATH_MAX])
{
	char devices[PATH_MAX + 24], tty[64];
	bool found;

	if (f->usb[0] == '\0') {
		strcpy(out, f->driver == MM_DRIVER_FILES ? f->folder
							  : f->port);
		return access(out, F_OK) == 0;
	}
	out[0] = '\0';
	snprintf(devices, sizeof(devices), "%s/bus/usb/devices", f->sysfs);
	found = strchr(f->usb, ':') != NULL ? find_tty(devices, f->usb, tty)
					    : find_first(devices, f->usb, tty);
	return found &&
	       mm_path_join(out, PATH_MAX, f->dev, tty, NULL) == MM_OK &&
	       access(out, F_OK) == 0;
}
