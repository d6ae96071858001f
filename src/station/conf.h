#ifndef MM_STATION_CONF_H
#define MM_STATION_CONF_H

#include <limits.h>

#include "base/conf.h"
#include "base/text.h"

/* The station's configuration: station.conf. */
enum mm_driver_kind { MM_DRIVER_SERIAL, MM_DRIVER_EXEC, MM_DRIVER_FILES,
	MM_DRIVERS };

/* When the station makes units by its own signer. */
enum mm_offline { MM_OFFLINE_NEVER, MM_OFFLINE_AWAY, MM_OFFLINE_ALWAYS };

/* What happens without the mirror. */
enum mm_mirror_gone { MM_MIRROR_STOP, MM_MIRROR_WARN };

enum mm_language { MM_LANGUAGE_EN, MM_LANGUAGE_DE, MM_LANGUAGES };
extern const char *const mm_languages[MM_LANGUAGES + 1];

#define MM_FIXTURES_MOST 32

struct mm_fixture_conf {
	char name[MM_NAME_MAX + 1];
	int driver;               /* enum mm_driver_kind */
	char usb[64];             /* its place (usb.h), instead of port; "" */
	const char *sysfs, *dev;  /* the station's, borrowed */
	char port[PATH_MAX];      /* serial: the terminal; exec: told to it */
	int64_t baud;             /* 0: as it is */
	struct mm_conf_list program; /* exec: its words */
	int64_t limit_s;          /* exec: for one step */
	char folder[PATH_MAX];    /* files: where the bundles go */
	struct mm_conf_list outputs; /* files: forms of line/output.h */
	int64_t address;          /* files: of hex; -1: none */
};

/* How boards are made that an order names it for. */
#define MM_RECIPES_MOST 32
struct mm_recipe_conf {
	char name[MM_NAME_MAX + 1];
	struct mm_conf_list program; /* of fixtures that have none; n 0: none */
	int64_t limit_s;
};

struct mm_station_conf {
	char centre[256];
	char anchor[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
	char key_in[513];         /* where enrol makes it; "": in that file */
	char state[PATH_MAX];     /* folder: journal, records */
	char name[MM_NAME_MAX + 1];
	char product[MM_NAME_MAX + 1];
	char label[MM_NAME_MAX + 1];
	char batch[MM_NAME_MAX + 1]; /* "" none; offline the newest order's */
	bool lock, replace, short_secrets;
	int offline;              /* enum mm_offline */
	char signer[PATH_MAX];    /* its signer's configuration; "" none */
	char signer_program[PATH_MAX];
	int64_t patience_s;       /* for a centre that is away */
	int64_t sync_s;           /* how often run syncs; 0: not by itself */
	int64_t unsynced_s;       /* at most, but the order's; 0: no limit */
	char screen[64], api[64]; /* addresses to listen at; "" not */
	bool api_plain;
	char api_cert[PATH_MAX], api_cert_key[PATH_MAX];
	struct mm_conf_list mes_may, mes_result; /* programs; none */
	int64_t mes_limit_s;
	struct mm_conf_list shifts; /* when they begin: HH:MM, in order */
	char mirror[PATH_MAX];    /* a folder on another disk; "" none */
	int mirror_gone;          /* enum mm_mirror_gone */
	char printer[256];        /* of labels (line/printer.h); "" none */
	bool printer_asks;
	int64_t printer_limit_s;  /* how long a unit waits for its label */
	char label_template[PATH_MAX], label_files[PATH_MAX]; /* "" none */
	int language;             /* enum mm_language */
	char sysfs[PATH_MAX], dev[PATH_MAX]; /* where places are looked up */
	struct mm_fixture_conf *fixture;
	size_t nfixture;
	struct mm_recipe_conf *recipe;
	size_t nrecipe;
	struct mm_conf_doc doc;
};

MM_MUST enum mm_err mm_station_conf_load(const char *path,
    struct mm_station_conf **out, struct mm_why *why);
void mm_station_conf_free(struct mm_station_conf **owner);
/* A fixture by its name; NULL. */
const struct mm_fixture_conf *mm_station_fixture(
    const struct mm_station_conf *c, const char *name);
/* A recipe by its name; NULL: it is not installed here. */
const struct mm_recipe_conf *mm_station_recipe(
    const struct mm_station_conf *c, const char *name);
/* Markdown, for docs/reference/station.md. */
void mm_station_conf_reference(struct mm_buf *out);

#endif
