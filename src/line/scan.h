#ifndef MM_LINE_SCAN_H
#define MM_LINE_SCAN_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"

/*
 * From what a scanner read off a label to a serial.  Pure, no regular
 * expressions: a rule is walked once over at most MM_SCAN_MAX bytes, in time
 * that their product bounds.
 *
 * For who makes batches: mm_scan_rule_parse says at once whether a rule is
 * well formed, and mm_scan with a sample label of the batch whether it gives
 * what is expected; both belong in the creation of a batch, so that the first
 * technician is not who finds out.
 *
 * A rule is one of
 *	plain                      the label is the serial
 *	gs1                        GS1 element string: serial by AI 21
 *	gs1:01=04012345000009      the same, and the label must have this GTIN
 *	gs1:01=04012345000009:8004 serial by another AI
 *	label:TEXT                 a vendor's form, see below
 * and may end in " => TEXT", in which {serial} stands for what was cut out:
 * "gs1 => SN-{serial}".
 *
 * gs1 takes what scanners send: with or without the symbology identifier
 * (]C1 ]d2 ]Q3 ]e0 ]J1), separated by GS (1D), also the printed form with AIs
 * in parentheses, and a GS1 Digital Link URI.  Character set, and the length
 * and check digit of what has a fixed length, are held to (General
 * Specifications 7).
 *
 * label:TEXT is matched from end to end: {serial} is what is looked for, *
 * any run of characters, ? one character, # one digit, \ takes the next as it
 * is.  {serial} and * take as little as what follows them allows.  {serial:8}
 * is exactly 8 characters long.
 */
#define MM_SCAN_MAX      512 /* bytes of a label */
#define MM_SCAN_RULE_MAX 256
#define MM_SCAN_PARTS    24

enum mm_scan_kind { MM_SCAN_PLAIN, MM_SCAN_GS1, MM_SCAN_LABEL };
enum mm_scan_part_kind { MM_SCAN_TEXT, MM_SCAN_ANY, MM_SCAN_SERIAL };
struct mm_scan_part {
	enum mm_scan_part_kind kind;
	uint8_t at, n; /* TEXT: of text[]; SERIAL: n its length, 0 any */
};
struct mm_scan_rule {
	enum mm_scan_kind kind;
	char gtin[15];          /* "" any */
	char ai[5];             /* of the serial */
	uint8_t nparts;
	struct mm_scan_part part[MM_SCAN_PARTS];
	char text[MM_SCAN_RULE_MAX];  /* the literal parts */
	char wild[MM_SCAN_RULE_MAX];  /* ' ' as it is, '?' any, '#' digit */
	char before[MM_DEVICE_ID_MAX + 1], after[MM_DEVICE_ID_MAX + 1];
};

/* MM_EINPUT, with what is wrong with the rule. */
MM_MUST enum mm_err mm_scan_rule_parse(const char *text,
    struct mm_scan_rule *out, struct mm_why *why);
/*
 * MM_EINPUT: the label is not of the rule's form, says how; MM_EPOLICY: it is
 * another article's (GTIN).  What comes out is a device id.
 */
MM_MUST enum mm_err mm_scan(const struct mm_scan_rule *rule,
    struct mm_bytes label, char serial[MM_DEVICE_ID_MAX + 1],
    struct mm_why *why);

/*
 * A GS1 element string, element by element.  *rest moves; MM_ENOTFOUND at the
 * end.  Printed: in the form with parentheses.
 */
struct mm_gs1 {
	char ai[5];
	struct mm_bytes value;
};
MM_MUST enum mm_err mm_gs1_next(struct mm_bytes *rest, bool printed,
    struct mm_gs1 *out, struct mm_why *why);
/* Whether a number's last digit is its check digit (mod 10, weights 3, 1). */
bool mm_gs1_checked(struct mm_bytes digits);

#endif
