#include "../base/rows.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "line/label.h"
#include "line/qr.h"

/* A hostile name is data to the printer, wherever it stands. */
static void
escapes_names(void **state)
{
	const struct mm_label l = { .device = "^XZ~JA^FS",
		.product = "{{device}}_" };
	struct mm_buf out = MM_BUF_INIT(MM_FILL_MAX);

	(void)state;
	assert_int_equal(mm_label_zpl(NULL, &l, &out, NULL), MM_OK);
	assert_null(strstr(mm_buf_cstr(&out), "~JA"));
	assert_non_null(strstr(mm_buf_cstr(&out), "^FDMA,_5EXZ_7EJA_5EFS^FS"));
	assert_non_null(strstr(mm_buf_cstr(&out), "_7B_7Bdevice_7D_7D_5F"));
	mm_buf_done(&out);
}

static void
knows_its_fields(void **state)
{
	static const struct {
		const char *what, *text;
		bool want;
	} rows[] = {
		{ "all", "^FH^FD{{device}}{{product}}{{batch}}{{code}}"
		    "{{token}}^FS", true },
		{ "another", "^FH^FD{{serial}}^FS", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_fill *f = NULL;

		ROW(rows[i].what, mm_fill_parse(MM_FILL_ZPL,
		    mm_bytes_of(rows[i].text), &f, NULL) == MM_OK);
		ROW(rows[i].what, (mm_label_check(f, NULL) == MM_OK) ==
		    rows[i].want);
		mm_fill_free(&f);
	}
}

static void
names_labels(void **state)
{
	uint8_t a[32], b[32];

	(void)state;
	mm_label_id("SN-1", mm_bytes_of("x"), a);
	mm_label_id("SN-1", mm_bytes_of("x"), b);
	assert_memory_equal(a, b, 32);
	mm_label_id("SN-2", mm_bytes_of("x"), b);
	assert_memory_not_equal(a, b, 32);
	mm_label_id("SN-1", mm_bytes_of("y"), b);
	assert_memory_not_equal(a, b, 32);
}

/* ---- printers ---- */

struct printer {
	int fd;
	char name[64];
	char got[256];
	size_t n;
};

static void *
serve(void *arg)
{
	struct printer *p = arg;
	int c = accept(p->fd, NULL, NULL);
	ssize_t n;

	while ((n = read(c, p->got + p->n, sizeof(p->got) - p->n)) > 0)
		p->n += (size_t)n;
	close(c);
	return NULL;
}

static void
listen_at(struct printer *p)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	memset(p, 0, sizeof(*p));
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(p->fd, 1), 0);
	assert_int_equal(getsockname(p->fd, (struct sockaddr *)&a, &n), 0);
	snprintf(p->name, sizeof(p->name), "tcp:127.0.0.1:%u",
	    ntohs(a.sin_port));
}

static void
prints_over_tcp(void **state)
{
	struct printer p;
	pthread_t t;

	(void)state;
	listen_at(&p);
	assert_int_equal(pthread_create(&t, NULL, serve, &p), 0);
	assert_int_equal(mm_label_send(p.name, mm_bytes_of("^XA^XZ"), 10000,
	    NULL), MM_OK);
	pthread_join(t, NULL);
	assert_int_equal(p.n, 6);
	assert_memory_equal(p.got, "^XA^XZ", 6);
	close(p.fd);
	/* Nobody listens there now. */
	assert_int_equal(mm_label_send(p.name, mm_bytes_of("x"), 10000, NULL),
	    MM_EAGAIN);
}

static void
says_what_is_unsure(void **state)
{
	struct mm_buf big = MM_BUF_INIT(64U << 20);
	struct printer p; /* takes the connection, reads nothing */

	(void)state;
	listen_at(&p);
	memset(mm_buf_room(&big, 32U << 20), 'x', 32U << 20);
	assert_int_equal(mm_label_send(p.name, mm_buf_view(&big), 200, NULL),
	    MM_EUNSURE);
	mm_buf_done(&big);
	close(p.fd);
}

static void
prints_to_a_device(void **state)
{
	char dir[] = "/tmp/mm-label-XXXXXX", path[64], got[8];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/lp0", dir);
	assert_int_equal(mm_label_send(path, mm_bytes_of("x"), 100, NULL),
	    MM_EAGAIN);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(mm_label_send(path, mm_bytes_of("^XA"), 1000, NULL),
	    MM_OK);
	assert_int_equal(read(fd, got, sizeof(got)), 3);
	close(fd);
	unlink(path);
	/* A plain file is no printer, and is not written over. */
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	assert_int_equal(mm_label_send(path, mm_bytes_of("x"), 100, NULL),
	    MM_EINPUT);
	unlink(path);
	rmdir(dir);
}

static void
names_printers(void **state)
{
	static const char *const bad[] = { "tcp:", "tcp::9100", "tcp:[::1",
		"tcp:h:x", "tcp:h:", "tcp:h:123456" };

	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++)
		ROW(bad[i], mm_label_send(bad[i], mm_bytes_of("x"), 100,
		    NULL) == MM_EINPUT);
}

static void
draws_codes(void **state)
{
	static char text[4000];
	struct mm_buf out = MM_BUF_INIT(MM_QR_PNG_MAX);

	(void)state;
	assert_int_equal(mm_qr_svg("SN-1", &out, NULL), MM_OK);
	assert_int_equal(strncmp(mm_buf_cstr(&out), "<svg", 4), 0);
	mm_buf_reset(&out);
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(mm_qr_svg(text, &out, NULL), MM_ELIMIT);
	mm_buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_names),
		cmocka_unit_test(knows_its_fields),
		cmocka_unit_test(names_labels),
		cmocka_unit_test(prints_over_tcp),
		cmocka_unit_test(says_what_is_unsure),
		cmocka_unit_test(prints_to_a_device),
		cmocka_unit_test(names_printers),
		cmocka_unit_test(draws_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
