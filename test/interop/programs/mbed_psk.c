/*
 * mbed_psk PORT IDENTITY KEY-IN-HEX: one HTTP exchange on the loopback over
 * TLS 1.2 with ECDHE-PSK-CHACHA20-POLY1305, by mbed TLS.  The request is
 * standard input, the answer standard output.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>

enum { PSK_BYTES = 32 };

struct client {
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context random;
	mbedtls_ssl_config config;
	mbedtls_ssl_context ssl;
	mbedtls_net_context net;
};

static void
must(const char *what, int rc)
{
	char text[128];

	if (rc >= 0)
		return;
	mbedtls_strerror(rc, text, sizeof(text));
	fprintf(stderr, "%s: %s\n", what, text);
	exit(1);
}

static void
unhex(const char *hex, unsigned char out[PSK_BYTES])
{
	if (strlen(hex) != 2 * PSK_BYTES)
		exit(2);
	for (int i = 0; i < PSK_BYTES; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &out[i]) != 1)
			exit(2);
}

/* The suite, and the token as its key; no anchor: no certificate is sent. */
static void
configure(struct client *c, const char *identity, const char *hex)
{
	static const int suites[] = {
		MBEDTLS_TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256, 0,
	};
	unsigned char key[PSK_BYTES];

	mbedtls_entropy_init(&c->entropy);
	mbedtls_ctr_drbg_init(&c->random);
	mbedtls_ssl_config_init(&c->config);
	mbedtls_ssl_init(&c->ssl);
	mbedtls_net_init(&c->net);
	must("seed", mbedtls_ctr_drbg_seed(&c->random, mbedtls_entropy_func,
	    &c->entropy, NULL, 0));
	must("defaults", mbedtls_ssl_config_defaults(&c->config,
	    MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
	    MBEDTLS_SSL_PRESET_DEFAULT));
	mbedtls_ssl_conf_rng(&c->config, mbedtls_ctr_drbg_random, &c->random);
	mbedtls_ssl_conf_ciphersuites(&c->config, suites);
	unhex(hex, key);
	must("key", mbedtls_ssl_conf_psk(&c->config, key, sizeof(key),
	    (const unsigned char *)identity, strlen(identity)));
}

static void
connect_to(struct client *c, const char *port)
{
	must("connect", mbedtls_net_connect(&c->net, "127.0.0.1", port,
	    MBEDTLS_NET_PROTO_TCP));
	must("setup", mbedtls_ssl_setup(&c->ssl, &c->config));
	mbedtls_ssl_set_bio(&c->ssl, &c->net, mbedtls_net_send,
	    mbedtls_net_recv, NULL);
	must("handshake", mbedtls_ssl_handshake(&c->ssl));
	fprintf(stderr, "%s %s\n", mbedtls_ssl_get_version(&c->ssl),
	    mbedtls_ssl_get_ciphersuite(&c->ssl));
}

static void
send_all(struct client *c, const unsigned char *at, size_t n)
{
	while (n > 0) {
		int rc = mbedtls_ssl_write(&c->ssl, at, n);

		must("write", rc);
		at += rc;
		n -= (size_t)rc;
	}
}

static void
receive_all(struct client *c)
{
	unsigned char part[4096];
	int rc;

	while ((rc = mbedtls_ssl_read(&c->ssl, part, sizeof(part))) > 0)
		fwrite(part, 1, (size_t)rc, stdout);
	if (rc != MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
		must("read", rc);
}

int
main(int argc, char **argv)
{
	static unsigned char request[1 << 16];
	static struct client c;

	if (argc != 4)
		return 2;
	configure(&c, argv[2], argv[3]);
	connect_to(&c, argv[1]);
	send_all(&c, request, fread(request, 1, sizeof(request), stdin));
	receive_all(&c);
	return 0;
}
