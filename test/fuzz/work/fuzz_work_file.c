/*
 * Property: every paper of a file that parses is found by its own hash, and
 * what is found hashes to it; and its beginning has the order that it has.
 */
#include <stdlib.h>
#include <string.h>

#include "pki/key.h"
#include "work/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_order(struct mm_bytes json)
{
	struct mm_buf note = MM_BUF_INIT(MM_WORK_FILE_MAX);
	struct mm_work_file f;

	if (mm_work_file_order(json, &note, NULL) == MM_OK &&
	    mm_work_file_parse(json, &f, NULL) == MM_OK) {
		if (!mm_bytes_eq(f.note, mm_buf_view(&note)))
			abort();
		mm_work_file_done(&f);
	}
	mm_buf_done(&note);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_work_file f;
	char serial[MM_DEVICE_ID_MAX + 1];
	enum mm_err err;

	check_order((struct mm_bytes){ data, size });
	if (mm_work_file_parse((struct mm_bytes){ data, size }, &f, NULL) !=
	    MM_OK)
		return 0;
	for (size_t i = 0; i < f.papers; i++) {
		struct mm_bytes got, list = f.paper[i];
		uint8_t hash[32];

		if (!mm_work_file_paper(&f, f.sha256[i], &got))
			abort();
		mm_sha256(got, hash);
		if (memcmp(hash, f.sha256[i], 32) != 0)
			abort();
		while (mm_work_list_next(&list, serial, &err))
			if (!mm_device_id_valid(serial))
				abort();
	}
	mm_work_file_done(&f);
	return 0;
}
