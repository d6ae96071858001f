#include "../pki/fixture.h"

#include "line/image.h"
#include "line/output.h"

struct rig {
	struct ca ca;
	struct issued dev;
	struct mm_output_in in;
};

static int
open_rig(void **state)
{
	static struct rig r;
	struct mm_profile p;

	ca_init(&r.ca, MM_KEY_P256);
	profile_init(&p);
	issued_init(&r.dev, MM_KEY_P256, "SN-1");
	issued_fields(&r.dev, &p, &r.ca, "SN-1");
	issued_build(&r.dev, &p, &r.ca);
	issued_sign(&r.dev, &r.ca);
	r.in = (struct mm_output_in){ .device = "SN-1",
		.cert = mm_buf_view(&r.dev.cert),
		.chain = { mm_buf_view(&r.ca.der) }, .nchain = 1,
		.address = MM_OUTPUT_NOWHERE };
	*state = &r;
	return 0;
}

static int
close_rig(void **state)
{
	struct rig *r = *state;

	issued_done(&r->dev);
	ca_done(&r->ca);
	return 0;
}

/* What of in each row sets. */
static struct mm_output_in
with(const struct rig *r, unsigned bits)
{
	struct mm_output_in in = r->in;

	if ((bits & MM_OUT_KEY) != 0) {
		in.key = r->dev.key;
		in.made_by_server = true;
	}
	if ((bits & MM_OUT_PASSPHRASE) != 0)
		in.passphrase = mm_bytes_of("open sesame");
	if ((bits & MM_OUT_CONFIG) != 0)
		in.config = mm_bytes_of("{}");
	if ((bits & MM_OUT_ADDRESS) != 0)
		in.address = 0x8000;
	if ((bits & MM_OUT_SIZE) != 0)
		in.size = 0x4000;
	if ((bits & MM_OUT_OF) != 0)
		in.of = "nvs";
	return in;
}

static void
every_form_takes_what_its_row_says(void **state)
{
	const struct rig *r = *state;

	for (size_t i = 0; i < mm_noutput_forms; i++) {
		const struct mm_output_form *f = &mm_output_forms[i];

		for (unsigned bits = 0; bits < 64; bits++) {
			struct mm_output_in in = with(r, bits);
			struct mm_output out = { 0 };
			bool fits = (bits & ~f->takes) == 0 &&
			    (f->needs & ~bits) == 0;
			enum mm_err rc;

			/* Certificates alone are no partition. */
			if (strcmp(f->name, "hex") == 0 &&
			    (bits & MM_OUT_OF) == 0 && (bits & (MM_OUT_KEY |
			    MM_OUT_CONFIG | MM_OUT_SIZE)) != 0)
				fits = false;
			rc = mm_output_make(f->name, &in, &out, NULL);
			ROW(f->name, (rc == MM_OK) == fits);
			ROW(f->name, (out.n > 0) == fits);
			mm_output_done(&out);
		}
	}
}

static void
a_key_leaves_only_if_the_server_made_it(void **state)
{
	const struct rig *r = *state;

	for (size_t i = 0; i < mm_noutput_forms; i++) {
		const struct mm_output_form *f = &mm_output_forms[i];
		struct mm_output_in in = with(r, MM_OUT_KEY | f->needs |
		    (f->takes & MM_OUT_OF));
		struct mm_output out = { 0 };
		bool secret = false;

		in.made_by_server = false;
		ROW(f->name, mm_output_make(f->name, &in, &out, NULL) ==
		    MM_EPOLICY);
		in.made_by_server = true;
		ROW(f->name, mm_output_make(f->name, &in, &out, NULL) ==
		    MM_OK);
		for (size_t j = 0; j < out.n; j++)
			secret = secret || out.file[j].secret;
		ROW(f->name, secret);
		mm_output_done(&out);
		in.key = r->ca.key; /* another's */
		ROW(f->name, mm_output_make(f->name, &in, &out, NULL) ==
		    MM_EINPUT);
	}
}

static void
refuses_what_is_no_certificate(void **state)
{
	const struct rig *r = *state;
	struct mm_output_in in = r->in;
	struct mm_output out = { 0 };

	assert_int_equal(mm_output_make("nosuch", &in, &out, NULL),
	    MM_ENOTFOUND);
	in.cert.n--;
	assert_int_equal(mm_output_make("pem", &in, &out, NULL), MM_EINPUT);
	in = r->in;
	in.device = "../SN";
	assert_int_equal(mm_output_make("pem", &in, &out, NULL), MM_EINPUT);
}

static void
writes_intel_hex(void **state)
{
	static const uint8_t data[] = { 1, 2, 3, 4 };
	static const struct {
		const char *what;
		uint32_t address;
		size_t n;
		const char *want; /* NULL: refused */
	} rows[] = {
		{ "nothing", 0, 0, ":00000001FF\r\n" },
		{ "low", 0x100, 4, ":0401000001020304F1\r\n:00000001FF\r\n" },
		{ "high", 0x12340000, 1, ":020000041234B4\r\n:0100000001FE\r\n"
		    ":00000001FF\r\n" },
		{ "across 64 KiB", 0xfffe, 4, ":02FFFE000102FE\r\n"
		    ":020000040001F9\r\n:020000000304F7\r\n:00000001FF\r\n" },
		{ "past the end", 0xfffffffe, 4, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf out = MM_BUF_INIT(4096);
		enum mm_err rc = mm_hex_image((struct mm_bytes){ data,
		    rows[i].n }, rows[i].address, &out, NULL);

		ROW(rows[i].what, (rc == MM_OK) == (rows[i].want != NULL));
		if (rc == MM_OK)
			ROW(rows[i].what, strcmp(mm_buf_cstr(&out),
			    rows[i].want) == 0);
		mm_buf_done(&out);
	}
}

static void
partitions_have_bounds(void **state)
{
	static uint8_t big[0x20000];
	static const struct {
		const char *what, *key;
		bool text;
		size_t n, size;
		enum mm_err want;
	} rows[] = {
		{ "a blob over pages", "k", false, 12000, 0x6000, MM_OK },
		{ "too long a blob", "k", false, 0x6000, 0x6000, MM_ELIMIT },
		{ "the longest text", "k", true, 3967, 0x3000, MM_OK },
		{ "too long a text", "k", true, 4000, 0x6000, MM_ELIMIT },
		{ "two pages", "k", true, 1, 0x2000, MM_EINPUT },
		{ "no whole pages", "k", true, 1, 0x3001, MM_EINPUT },
		{ "a key of 16", "0123456789abcdef", true, 1, 0x3000,
		    MM_EINPUT },
		{ "no key", "", true, 1, 0x3000, MM_EINPUT },
	};

	(void)state;
	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct mm_nvs r = { rows[i].key, rows[i].text,
			{ big, rows[i].n } };
		struct mm_buf out = MM_BUF_INIT(MM_IMAGE_MAX);

		ROW(rows[i].what, mm_nvs_image("space", &r, 1, rows[i].size,
		    &out, NULL) == rows[i].want);
		ROW(rows[i].what, out.n == (rows[i].want == MM_OK
		    ? rows[i].size : 0));
		mm_buf_done(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_takes_what_its_row_says),
		cmocka_unit_test(a_key_leaves_only_if_the_server_made_it),
		cmocka_unit_test(refuses_what_is_no_certificate),
		cmocka_unit_test(writes_intel_hex),
		cmocka_unit_test(partitions_have_bounds),
	};

	return cmocka_run_group_tests(tests, open_rig, close_rig);
}
