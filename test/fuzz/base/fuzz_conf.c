/*
 * Property: any text is a document whose values are within their ranges, or
 * is refused with a reason.
 */
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_issuers(const struct mm_conf_doc *doc)
{
	const struct mm_issuer_conf *issuers = doc->blocks[0];

	for (size_t i = 0; i < doc->n[0]; i++)
		if (!mm_name_valid(issuers[i].name) ||
		    issuers[i].certificate[0] != '/' ||
		    issuers[i].crl_shards < 1 || issuers[i].crl_shards > 65536)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_settings s = { 0 };
	struct mm_conf_doc doc = { .top = &s };
	struct mm_why why = { 0 };
	const struct mm_conf_spec spec = { mm_settings_keys,
		mm_settings_nkeys, &mm_issuer_block, 1 };

	if (mm_conf_parse((struct mm_bytes){ data, size }, "/etc/m.conf",
		&spec, &doc, &why) != MM_OK) {
		if (why.code == MM_OK || doc.blocks != NULL)
			abort();
		return 0;
	}
	if (why.code != MM_OK || s.threads < 1 || s.threads > 16 ||
	    strlen(s.name) < 1 || s.server_dir[0] != '/' || s.log_level > 3)
		abort();
	check_issuers(&doc);
	(void)!mm_settings_check(&s, &why);
	mm_conf_doc_done(&doc);
	return 0;
}
