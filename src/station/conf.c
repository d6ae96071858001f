#include "station/conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "line/output.h"
#include "line/printer.h"
#include "station/usb.h"

static const char *const drivers[] = { "serial", "exec", "files", NULL };

static const char *const offlines[] = { "never", "when-away", "always",
	NULL };

static const char *const mirror_gones[] = { "stop", "warn", NULL };

/* see conf.h */
const char *const mm_languages[MM_LANGUAGES + 1] = { "en", "de", NULL };

#define TOP(f) offsetof(struct mm_station_conf, f)
static const struct mm_conf_key keys[] = {
	{ "name", MM_CONF_NAME, TOP(name), 1, MM_NAME_MAX, NULL,
	    "The station's name, as records show it", NULL },
	{ "centre", MM_CONF_TEXT, TOP(centre), 9, 255, NULL,
	    "The centre's operators listener: https://host:port", NULL },
	{ "anchor", MM_CONF_PATH, TOP(anchor), 1, PATH_MAX - 1, "root.crt",
	    "The certificate that the centre's server is known by (PEM)",
	    NULL },
	{ "cert", MM_CONF_PATH, TOP(cert), 1, PATH_MAX - 1, "station.crt",
	    "The station's own certificate (PEM)", NULL },
	{ "key", MM_CONF_PATH, TOP(key), 1, PATH_MAX - 1, "station.key",
	    "Its private key (PEM), its owner's alone", NULL },
	{ "key_in", MM_CONF_TEXT, TOP(key_in), 0, 512, "",
	    "Where enrol makes it, so that it never leaves: tpm2: or a "
	    "pkcs11: URI with pin-source (docs/device-keys.md); the file "
	    "then says where it is; empty: in the file", NULL },
	{ "state", MM_CONF_PATH, TOP(state), 1, PATH_MAX - 1, NULL,
	    "The folder of the journal and the birth records", NULL },
	{ "product", MM_CONF_NAME, TOP(product), 0, MM_NAME_MAX, "",
	    "Serials that the centre does not know are registered for this "
	    "product; empty: they are refused", NULL },
	{ "label", MM_CONF_NAME, TOP(label), 0, MM_NAME_MAX, "",
	    "The profile to ask for; empty: what the product says", NULL },
	{ "batch", MM_CONF_NAME, TOP(batch), 0, MM_NAME_MAX, "",
	    "The batch that is made here; a station that the centre has "
	    "work orders for must name one; empty, offline: that of the "
	    "newest order", NULL },
	{ "lock", MM_CONF_BOOL, TOP(lock), 0, 0, "true",
	    "Boards are locked once they have proved themselves; where a "
	    "batch is made, it says so instead", NULL },
	{ "replace", MM_CONF_BOOL, TOP(replace), 0, 0, "false",
	    "For test authorities: a label is good for another key, too; "
	    "where a batch is made, its on_conflict says so instead", NULL },
	{ "short_secrets", MM_CONF_BOOL, TOP(short_secrets), 0, 0, "false",
	    "Boards with a device library of before (link version 1) get "
	    "configurations with secrets of fewer than 16 characters, too: "
	    "by what they tell at their console these can be guessed", NULL },
	{ "offline", MM_CONF_CHOICE, TOP(offline), 0, 2, "never",
	    "When this station's own signer makes the certificates, by a work "
	    "order: when-away: when the centre is away for longer than "
	    "patience", offlines },
	{ "signer", MM_CONF_PATH, TOP(signer), 0, PATH_MAX - 1, "",
	    "The configuration of this station's own signer; empty: it has "
	    "none", NULL },
	{ "signer_program", MM_CONF_PATH, TOP(signer_program), 1,
	    PATH_MAX - 1, "/usr/libexec/mintmark/mintmark-signer",
	    "The signer's program", NULL },
	{ "patience", MM_CONF_DURATION, TOP(patience_s), 0, 86400, "60s",
	    "How long a unit waits for a centre that is away", NULL },
	{ "sync", MM_CONF_DURATION, TOP(sync_s), 0, 86400, "0s",
	    "How often run brings what was made offline to the centre by "
	    "itself; 0: not", NULL },
	{ "unsynced", MM_CONF_DURATION, TOP(unsynced_s), 0, 366 * 86400, "0s",
	    "How long the centre may be without a unit that was made offline, "
	    "before no more are made; 0: as long as the order says", NULL },
	{ "screen", MM_CONF_TEXT, TOP(screen), 0, 63, "",
	    "Where run serves the screen, on this machine alone: "
	    "127.0.0.1:8090; empty: nowhere", NULL },
	{ "language", MM_CONF_CHOICE, TOP(language), 0, 0, "en",
	    "The screen's language; F2 changes it there", mm_languages },
	{ "api", MM_CONF_TEXT, TOP(api), 0, 63, "",
	    "Where run serves the API on the line's network, for programs "
	    "with a key of api-key; empty: nowhere", NULL },
	{ "api_cert", MM_CONF_PATH, TOP(api_cert), 0, PATH_MAX - 1, "",
	    "The API's certificate, with its chain (PEM)", NULL },
	{ "api_cert_key", MM_CONF_PATH, TOP(api_cert_key), 0, PATH_MAX - 1,
	    "", "Its private key (PEM)", NULL },
	{ "api_plain", MM_CONF_BOOL, TOP(api_plain), 0, 0, "false",
	    "The API without TLS: whoever reads along on that network has "
	    "the key", NULL },
	{ "mes_may", MM_CONF_LIST, TOP(mes_may), 0, MM_CONF_ITEM_MAX - 1, "",
	    "A program that says whether a unit may be made, with its words; "
	    "no shell reads them", NULL },
	{ "mes_result", MM_CONF_LIST, TOP(mes_result), 0,
	    MM_CONF_ITEM_MAX - 1, "",
	    "A program that is told what became of each unit of run", NULL },
	{ "mes_limit", MM_CONF_DURATION, TOP(mes_limit_s), 1, 3600, "10s",
	    "How long one run of these two may take", NULL },
	{ "sysfs", MM_CONF_PATH, TOP(sysfs), 1, PATH_MAX - 128, "/sys",
	    "Where the kernel tells what is plugged in at which USB place",
	    NULL },
	{ "dev", MM_CONF_PATH, TOP(dev), 1, PATH_MAX - 128, "/dev",
	    "Where its terminals are", NULL },
	{ "shifts", MM_CONF_LIST, TOP(shifts), 5, 5, "00:00",
	    "When shifts begin, by this machine's time zone: 06:00, 14:00, "
	    "22:00; for report", NULL },
	{ "mirror", MM_CONF_PATH, TOP(mirror), 0, PATH_MAX - 1, "",
	    "A folder on a second disk or a stick that has a copy of all "
	    "before a unit passes; empty: none", NULL },
	{ "mirror_gone", MM_CONF_CHOICE, TOP(mirror_gone), 0, 0, "stop",
	    "While that disk is away: stop: no unit passes or begins; warn: "
	    "units are made, and the copy catches up later", mirror_gones },
	{ "printer", MM_CONF_TEXT, TOP(printer), 0, 255, "",
	    "Of a label for each unit that passes: tcp:ADDRESS[:PORT] (9100) "
	    "or a device: /dev/usb/lp0; empty: none is printed", NULL },
	{ "printer_asks", MM_CONF_BOOL, TOP(printer_asks), 0, 0, "false",
	    "A printer by TCP is asked how it is (ZPL's ~HS) before and after "
	    "each label: paper, ribbon, head, whether it has read all of it",
	    NULL },
	{ "printer_limit", MM_CONF_DURATION, TOP(printer_limit_s), 1, 3600,
	    "15s", "How long a unit waits for a printer that is away or out "
	    "of paper", NULL },
	{ "label_template", MM_CONF_PATH, TOP(label_template), 0,
	    PATH_MAX - 1, "",
	    "ZPL with {{device}}, {{product}}, {{batch}}, {{code}}; empty: "
	    "our own, for 50 x 25 mm at 203 dpi", NULL },
	{ "label_files", MM_CONF_PATH, TOP(label_files), 0, PATH_MAX - 1, "",
	    "A folder where each unit's label is written, too: SERIAL.zpl, "
	    "and its code as SERIAL.png; empty: nowhere", NULL },
};

#define FIX(f) offsetof(struct mm_fixture_conf, f)
static const struct mm_conf_key fixture_keys[] = {
	{ "driver", MM_CONF_CHOICE, FIX(driver), 0, 0, "serial",
	    "How the device is spoken to", drivers },
	{ "usb", MM_CONF_TEXT, FIX(usb), 0, 63, "",
	    "The USB place that the board is plugged in at, with its "
	    "interface if the adapter has several: 1-1.4 or 1-1.4:1.2; "
	    "mintmark-station fixtures shows them", NULL },
	{ "port", MM_CONF_PATH, FIX(port), 0, PATH_MAX - 1, "",
	    "Or the terminal: /dev/serial/by-path/...", NULL },
	{ "baud", MM_CONF_INT, FIX(baud), 0, 921600, "115200",
	    "The line's speed; 0 leaves it as it is", NULL },
	{ "program", MM_CONF_LIST, FIX(program), 0, MM_CONF_ITEM_MAX - 1, "",
	    "exec: the program with its words; no shell reads them; empty: "
	    "that of the recipe that the batch names", NULL },
	{ "limit", MM_CONF_DURATION, FIX(limit_s), 1, 3600, "60s",
	    "exec: how long one step may take", NULL },
	{ "folder", MM_CONF_PATH, FIX(folder), 0, PATH_MAX - 256, "",
	    "files: where each device's bundle is made, in a folder of its "
	    "name", NULL },
	{ "outputs", MM_CONF_LIST, FIX(outputs), 0, MM_CONF_ITEM_MAX - 1,
	    "pem", "files: what is in a bundle: forms as mintmark cert export "
	    "has them (pem, der, header, esp-secure-cert, nvs, hex)", NULL },
	{ "address", MM_CONF_INT, FIX(address), -1, UINT32_MAX - 1, "-1",
	    "files: of hex, in the device's memory; in decimal, 8192 is "
	    "0x2000", NULL },
};

#define RECIPE(f) offsetof(struct mm_recipe_conf, f)
static const struct mm_conf_key recipe_keys[] = {
	{ "program", MM_CONF_LIST, RECIPE(program), 0, MM_CONF_ITEM_MAX - 1,
	    "", "The program, with its words, of fixtures with driver = exec "
	    "that have none of their own", NULL },
	{ "limit", MM_CONF_DURATION, RECIPE(limit_s), 1, 3600, "60s",
	    "How long one step of it may take", NULL },
};

static const struct mm_conf_block blocks[] = {
	{ "fixture", "A place where one device is connected", fixture_keys,
	    sizeof(fixture_keys) / sizeof(fixture_keys[0]),
	    sizeof(struct mm_fixture_conf), FIX(name), MM_FIXTURES_MOST },
	{ "recipe", "A recipe that is installed here: a batch that names "
	    "another one is not made", recipe_keys,
	    sizeof(recipe_keys) / sizeof(recipe_keys[0]),
	    sizeof(struct mm_recipe_conf), RECIPE(name), MM_RECIPES_MOST },
};
static const struct mm_conf_spec spec = { keys,
	sizeof(keys) / sizeof(keys[0]), blocks, 2 };

/* No search: what runs is what the file says. */
static bool
is_program(const struct mm_conf_list *words)
{
	return words->n == 0 || words->item[0][0] == '/';
}

static bool
is_same_port(const struct mm_fixture_conf *a, const struct mm_fixture_conf *b)
{
	if (a->usb[0] != '\0' && b->usb[0] != '\0')
		return mm_usb_same(a->usb, b->usb);
	return a->port[0] != '\0' && strcmp(a->port, b->port) == 0;
}

static enum mm_err
check_output(const struct mm_fixture_conf *f, const char *form,
    struct mm_why *why)
{
	const unsigned has = MM_OUT_KEY | (f->address >= 0 ? MM_OUT_ADDRESS
	    : 0U);

	for (size_t i = 0; i < mm_noutput_forms; i++)
		if (strcmp(mm_output_forms[i].name, form) == 0)
			return (mm_output_forms[i].needs & ~has) == 0 ? MM_OK
			    : MM_FAIL(why, MM_EINPUT, "fixture %s: %s needs "
			    "more than a bundle has", f->name, form);
	return MM_FAIL(why, MM_EINPUT, "fixture %s: no output is named "
	    "\"%.40s\"", f->name, form);
}

/* The key is the station's to make: an order says that it is the device's. */
static enum mm_err
check_files(const struct mm_station_conf *c, const struct mm_fixture_conf *f,
    struct mm_why *why)
{
	if (f->folder[0] == '\0' || f->port[0] != '\0' || f->usb[0] != '\0')
		return MM_FAIL(why, MM_EINPUT, "fixture %s: driver files "
		    "wants folder, and neither port nor usb", f->name);
	if (c->offline != MM_OFFLINE_NEVER)
		return MM_FAIL(why, MM_EINPUT, "fixture %s: driver files "
		    "wants offline = never: by a work order devices make "
		    "their keys", f->name);
	for (size_t i = 0; i < f->outputs.n; i++)
		MM_TRY(check_output(f, f->outputs.item[i], why));
	for (size_t i = 0; &c->fixture[i] != f; i++)
		if (strcmp(c->fixture[i].folder, f->folder) == 0)
			return MM_FAIL(why, MM_EINPUT, "fixture %s: its "
			    "folder is fixture %s's", f->name,
			    c->fixture[i].name);
	return MM_OK;
}

static enum mm_err
check_fixture(const struct mm_station_conf *c, size_t i, struct mm_why *why)
{
	const struct mm_fixture_conf *f = &c->fixture[i];

	if (mm_station_fixture(c, f->name) != f)
		return MM_FAIL(why, MM_EINPUT, "fixture %s: stands twice",
		    f->name);
	if (f->driver == MM_DRIVER_EXEC && (!is_program(&f->program) ||
	    (f->program.n == 0 && c->nrecipe == 0)))
		return MM_FAIL(why, MM_EINPUT, "fixture %s: driver exec wants "
		    "program, with a whole path, or recipes", f->name);
	if (f->driver == MM_DRIVER_FILES)
		return check_files(c, f, why);
	if ((f->port[0] == '\0') == (f->usb[0] == '\0') ||
	    (f->usb[0] != '\0' && !mm_usb_valid(f->usb)))
		return MM_FAIL(why, MM_EINPUT, "fixture %s: wants either port "
		    "or usb, a place as 1-1.4 or 1-1.4:1.2", f->name);
	for (size_t j = 0; j < i; j++)
		if (is_same_port(&c->fixture[j], f))
			return MM_FAIL(why, MM_EINPUT, "fixture %s: its port "
			    "is fixture %s's", f->name, c->fixture[j].name);
	return MM_OK;
}

static enum mm_err
check_recipes(const struct mm_station_conf *c, struct mm_why *why)
{
	for (size_t i = 0; i < c->nrecipe; i++) {
		const struct mm_recipe_conf *r = &c->recipe[i];

		if (!is_program(&r->program))
			return MM_FAIL(why, MM_EINPUT, "recipe %s: wants "
			    "program with a whole path", r->name);
	}
	return MM_OK;
}

/* Without a key it is for this machine's own people alone. */
static bool
is_loopback(const char *address)
{
	return strncmp(address, "127.0.0.1:", 10) == 0 ||
	    strncmp(address, "[::1]:", 6) == 0;
}

static enum mm_err
check_doors(const struct mm_station_conf *c, struct mm_why *why)
{
	if (c->screen[0] != '\0' && !is_loopback(c->screen))
		return MM_FAIL(why, MM_EINPUT, "screen: want 127.0.0.1:PORT or "
		    "[::1]:PORT");
	if (c->api[0] == '\0' || c->api_plain)
		return MM_OK;
	return c->api_cert[0] != '\0' && c->api_cert_key[0] != '\0' ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "api: wants api_cert and api_cert_key, "
	    "or api_plain = true");
}

static bool
is_clock(const char *s)
{
	static const char digits[] = "0123456789";

	return strlen(s) == 5 && strspn(s, digits) == 2 && s[2] == ':' &&
	    strspn(s + 3, digits) == 2 && memcmp(s, "24", 2) < 0 &&
	    s[3] < '6';
}

static enum mm_err
check_shifts(const struct mm_station_conf *c, struct mm_why *why)
{
	const struct mm_conf_list *l = &c->shifts;

	for (size_t i = 0; i < l->n; i++)
		if (!is_clock(l->item[i]) ||
		    (i > 0 && strcmp(l->item[i - 1], l->item[i]) >= 0))
			return MM_FAIL(why, MM_EINPUT, "shifts: want HH:MM, "
			    "in order");
	return l->n > 0 ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "shifts: want one at least");
}

static enum mm_err
check_printer(const struct mm_station_conf *c, struct mm_why *why)
{
	if (c->printer[0] == '\0')
		return MM_OK;
	MM_TRY(mm_printer_check(c->printer, true, why));
	return !c->printer_asks || strncmp(c->printer, "tcp:", 4) == 0 ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "printer_asks: only a printer by TCP "
	    "can be asked");
}

static enum mm_err
check(const struct mm_station_conf *c, struct mm_why *why)
{
	MM_TRY(check_printer(c, why));
	MM_TRY(check_shifts(c, why));
	if (c->offline != MM_OFFLINE_NEVER && c->signer[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "offline: wants signer, this "
		    "station's own");
	MM_TRY(check_doors(c, why));
	if (!is_program(&c->mes_may) || !is_program(&c->mes_result))
		return MM_FAIL(why, MM_EINPUT, "mes_may, mes_result: want a "
		    "program with a whole path");
	if (strncmp(c->centre, "https://", 8) != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "centre: want https://host:port");
	for (size_t i = 0; i < c->nfixture; i++)
		MM_TRY(check_fixture(c, i, why));
	return check_recipes(c, why);
}

/* see conf.h */
enum mm_err
mm_station_conf_load(const char *path, struct mm_station_conf **out,
    struct mm_why *why)
{
	MM_OWN(mm_station_conf_free) struct mm_station_conf *c =
	    calloc(1, sizeof(*c));

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	c->doc.top = c;
	MM_TRY(mm_conf_load(path, &spec, &c->doc, why));
	c->fixture = c->doc.blocks[0];
	c->nfixture = c->doc.n[0];
	c->recipe = c->doc.blocks[1];
	c->nrecipe = c->doc.n[1];
	for (size_t i = 0; i < c->nfixture; i++) {
		c->fixture[i].sysfs = c->sysfs;
		c->fixture[i].dev = c->dev;
	}
	MM_TRY(check(c, why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see conf.h */
void
mm_station_conf_free(struct mm_station_conf **owner)
{
	if (*owner == NULL)
		return;
	mm_conf_doc_done(&(*owner)->doc);
	free(*owner);
	*owner = NULL;
}

/* see conf.h */
const struct mm_fixture_conf *
mm_station_fixture(const struct mm_station_conf *c, const char *name)
{
	for (size_t i = 0; i < c->nfixture; i++)
		if (strcmp(c->fixture[i].name, name) == 0)
			return &c->fixture[i];
	return NULL;
}

/* see conf.h */
const struct mm_recipe_conf *
mm_station_recipe(const struct mm_station_conf *c, const char *name)
{
	for (size_t i = 0; i < c->nrecipe; i++)
		if (strcmp(c->recipe[i].name, name) == 0)
			return &c->recipe[i];
	return NULL;
}

/* see conf.h */
void
mm_station_conf_reference(struct mm_buf *out)
{
	mm_conf_print_reference(out, &spec);
}
