#ifndef MM_STATION_USB_H
#define MM_STATION_USB_H

#include "station/conf.h"

/*
 * Terminals by the place where they are plugged in, as the kernel's sysfs
 * tells it: "1-1.4" is a device (bus, then the ports from hub to hub),
 * "1-1.4:1.2" one interface of an adapter that has several.  A place stays
 * what it is, whatever is plugged in there and whatever name it gets.
 */
bool mm_usb_valid(const char *place);
/* Whether one of them is the other, or a part of it. */
bool mm_usb_same(const char *a, const char *b);

struct mm_usb_port {
	char place[64];  /* with its interface */
	char tty[64];    /* ttyUSB0 */
	char what[96];   /* what the device says that it is; may be "" */
	char serial[64]; /* of the adapter; may be "" */
};
enum { MM_USB_MOST = 128 };
/* All of them, in the order of their places; how many. */
unsigned mm_usb_list(const char *sysfs, struct mm_usb_port out[MM_USB_MOST]);

/*
 * The terminal of a fixture now: its port, or what is plugged in at its place;
 * of driver files its folder.
 * false: nothing is.
 */
bool mm_fixture_port(const struct mm_fixture_conf *f, char out[PATH_MAX]);

#endif
