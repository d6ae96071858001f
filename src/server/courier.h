#ifndef MM_SERVER_COURIER_H
#define MM_SERVER_COURIER_H

#include <sys/socket.h>

#include "server/priv.h"

/* Deliveries and questions at once; the server hands over no more. */
enum { MM_COURIER_MOST = 264 };
/* For a mail, from the name's lookup to the last answer. */
enum { MM_COURIER_MAIL_MS = 25000 };

/* place.c: what an address is to a program that strangers name addresses
 * to. */
enum mm_place {
	MM_PLACE_PUBLIC,
	MM_PLACE_LOOPBACK, /* this machine */
	MM_PLACE_PRIVATE,  /* RFC 1918, RFC 4193, RFC 6598 */
	MM_PLACE_NEVER,    /* link-local (cloud metadata), multicast,
	                    * unspecified, not an IP address at all */
};
/* An IPv4 address within an IPv6 one (mapped, NAT64, 6to4) is what counts. */
enum mm_place mm_courier_place(const struct sockaddr *a);

#endif
