// The token and the certificate. Internal to src/http.
#pragma once

#include <gnutls/gnutls.h>
#include <stdatomic.h>

#include "http/server.h"

// A certificate with its key, as handshakes use it, on any threads. It is counted: each connection
// that began with it has a share, and it goes with the last, since GnuTLS wants it to live as long
// as the session does.
struct http_certificate {
    gnutls_certificate_credentials_t credentials;
    char *pem; // the chain's text: whether another is a new one
    atomic_size_t users;
};
struct http_certificate *certificate_share(struct http_certificate *c); // c; accepts NULL
void certificate_drop(struct http_certificate *c);                      // a share; accepts NULL

// What is read from files, again at each reload. Owned; NULL: none.
struct http_secrets {
    char *token;
    struct http_certificate *certificate; // a share
};
// -EINVAL: what is in the files does not serve; -ENOENT, -EACCES and the like: they are not read.
int secrets_read(const struct http_config *c, struct http_secrets *ret, struct error *err)
    GTAP_CHECK;
void secrets_done(struct http_secrets *s); // overwrites the token first
