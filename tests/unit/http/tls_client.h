// Certificates, each with the number of its generation, and a client that says which of them it was
// shown. Nothing here asserts, so that threads of a test may use it.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "test.h"

#define TLS_CLIENT_13 "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define TLS_CLIENT_12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"

// A key in PEM, which the caller frees.
static inline char *tls_make_key(gnutls_x509_privkey_t *ret)
{
    gnutls_datum_t pem;
    unsigned bits = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
    if (gnutls_x509_privkey_init(ret) < 0 ||
        gnutls_x509_privkey_generate(*ret, GNUTLS_PK_ECDSA, bits, 0) < 0 ||
        gnutls_x509_privkey_export2(*ret, GNUTLS_X509_FMT_PEM, &pem) < 0) {
        return NULL;
    }
    char *text = x_strndup((const char *)pem.data, pem.size);
    gnutls_free(pem.data);
    return text;
}

// A certificate of that key whose serial number is the generation's, in PEM.
static inline char *tls_make_certificate(gnutls_x509_privkey_t key, unsigned char generation)
{
    const unsigned char serial[] = {1, generation};
    gnutls_x509_crt_t crt;
    gnutls_datum_t pem = {0};
    time_t now = time(NULL);
    if (gnutls_x509_crt_init(&crt) < 0) {
        return NULL;
    }
    bool made = gnutls_x509_crt_set_version(crt, 3) >= 0 &&
                gnutls_x509_crt_set_serial(crt, serial, sizeof(serial)) >= 0 &&
                gnutls_x509_crt_set_activation_time(crt, now - 3600) >= 0 &&
                gnutls_x509_crt_set_expiration_time(crt, now + 86400) >= 0 &&
                gnutls_x509_crt_set_dn(crt, "CN=gtap", NULL) >= 0 &&
                gnutls_x509_crt_set_key(crt, key) >= 0 &&
                gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) >= 0 &&
                gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem) >= 0;
    gnutls_x509_crt_deinit(crt);
    char *text = made ? x_strndup((const char *)pem.data, pem.size) : NULL;
    gnutls_free(pem.data);
    return text;
}

struct tls_client {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

static inline void tls_close(struct tls_client *c)
{
    if (c->session) {
        gnutls_deinit(c->session);
    }
    if (c->credentials) {
        gnutls_certificate_free_credentials(c->credentials);
    }
    if (c->fd >= 0) {
        close(c->fd);
    }
}

// At 127.0.0.HOST; -1 and errno where it fails.
static inline int tls_connect(uint8_t host, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

// Over that connection, which is the client's from now on. past: a session to take up again, or
// NULL. A negative errno or error of GnuTLS where it fails; to be closed in any case.
static inline int tls_shake_hands(struct tls_client *c, int fd, const char *priorities,
                                  const gnutls_datum_t *past)
{
    int r = fd < 0 ? -errno : 0;
    *c = (struct tls_client){.fd = fd};
    r = r < 0 ? r : gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
    r = r < 0 ? r : gnutls_certificate_allocate_credentials(&c->credentials);
    r = r < 0 ? r : gnutls_priority_set_direct(c->session, priorities, NULL);
    r = r < 0 ? r : gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials);
    if (r == 0 && past) {
        r = gnutls_session_set_data(c->session, past->data, past->size);
    }
    if (r < 0) {
        return r;
    }
    gnutls_transport_set_int(c->session, c->fd);
    gnutls_handshake_set_timeout(c->session, TEST_PATIENCE_MS);
    do {
        r = gnutls_handshake(c->session);
    } while (r < 0 && !gnutls_error_is_fatal(r));
    return r;
}

static inline int tls_dial(struct tls_client *c, uint8_t host, uint16_t port,
                           const char *priorities, const gnutls_datum_t *past)
{
    return tls_shake_hands(c, tls_connect(host, port), priorities, past);
}

// The generation of the certificate that it was shown; -1: none.
static inline int tls_generation(const struct tls_client *c)
{
    unsigned n = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(c->session, &n);
    gnutls_x509_crt_t crt;
    unsigned char serial[32] = {0};
    size_t n_serial = sizeof(serial);
    if (!chain || n == 0 || gnutls_x509_crt_init(&crt) < 0) {
        return -1;
    }
    bool read = gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER) >= 0 &&
                gnutls_x509_crt_get_serial(crt, serial, &n_serial) >= 0 && n_serial == 2;
    gnutls_x509_crt_deinit(crt);
    return read ? serial[1] : -1;
}

// Sends a request and hears its answer up to the end of the body "hello", of which every answer of
// these tests consists; false when the connection ended before that. ret: room for n.
static inline bool tls_ask(const struct tls_client *c, const char *request, char *ret, size_t n)
{
    size_t got = 0;
    ssize_t r = gnutls_record_send(c->session, request, strlen(request));
    *ret = '\0';
    while (r > 0 || r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED) {
        if (strstr(ret, "\r\n\r\nhello")) {
            return true;
        }
        r = gnutls_record_recv(c->session, ret + got, n - 1 - got);
        got += r > 0 ? (size_t)r : 0;
        ret[got] = '\0';
    }
    return false;
}
