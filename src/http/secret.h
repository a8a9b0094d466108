// The token and the certificates. Internal to src/http.
#pragma once

#include "http/server.h"

// What is read from files, again at each reload. Texts owned; NULL: none.
struct http_secrets {
    char *token, *cert, *key;
};
int secrets_read(const struct http_config *c, struct http_secrets *ret, struct error *err)
    GTAP_CHECK;
void secrets_done(struct http_secrets *s); // overwrites them first
