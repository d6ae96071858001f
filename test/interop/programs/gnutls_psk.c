/*
 * gnutls_psk PORT IDENTITY KEY-IN-HEX PRIORITY: one HTTP exchange on the
 * loopback over a token's handshake, by GnuTLS.  The request is standard
 * input, the answer standard output.  (gnutls-cli 3.7.9 crashes while it
 * describes an ECDHE-PSK handshake of TLS 1.2 that succeeded.)
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <gnutls/gnutls.h>

static int
must(const char *what, ssize_t rc)
{
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", what, gnutls_strerror((int)rc));
		exit(1);
	}
	return (int)rc;
}

static int
loopback(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		perror("connect");
		exit(1);
	}
	return fd;
}

static gnutls_session_t
shake(char **argv)
{
	const gnutls_datum_t hex = { (unsigned char *)argv[3],
		(unsigned)strlen(argv[3]) };
	gnutls_psk_client_credentials_t psk;
	gnutls_session_t s;
	int fd = loopback(atoi(argv[1])); /* set_int is a macro */

	must("credentials", gnutls_psk_allocate_client_credentials(&psk));
	must("key", gnutls_psk_set_client_credentials(psk, argv[2], &hex,
	    GNUTLS_PSK_KEY_HEX));
	must("session", gnutls_init(&s, GNUTLS_CLIENT));
	must("priority", gnutls_priority_set_direct(s, argv[4], NULL));
	must("use", gnutls_credentials_set(s, GNUTLS_CRD_PSK, psk));
	gnutls_transport_set_int(s, fd);
	must("handshake", gnutls_handshake(s));
	fprintf(stderr, "%s\n", gnutls_session_get_desc(s));
	return s;
}

int
main(int argc, char **argv)
{
	static char request[1 << 16];
	gnutls_session_t s;
	char part[4096];
	int n;

	if (argc != 5)
		return 2;
	s = shake(argv);
	n = (int)fread(request, 1, sizeof(request), stdin);
	for (int at = 0; at < n;)
		at += must("write", gnutls_record_send(s, request + at,
		    (size_t)(n - at)));
	while ((n = must("read", gnutls_record_recv(s, part,
	    sizeof(part)))) > 0)
		fwrite(part, 1, (size_t)n, stdout);
	return 0;
}
