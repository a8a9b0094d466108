#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http/server_impl.h"

enum { SECRET_BYTES_MAX = 1 << 20 };

static void free_secret(char *text)
{
    if (text) {
        explicit_bzero(text, strlen(text));
    }
    free(text);
}

static int read_all(int fd, char *ret, size_t most, size_t *ret_n)
{
    ssize_t n = 1;
    *ret_n = 0;
    while (n > 0 && *ret_n < most) {
        n = read(fd, ret + *ret_n, most - *ret_n);
        *ret_n += n > 0 ? (size_t)n : 0;
    }
    return n < 0 ? -errno : 0;
}

// The whole file as text. what: "token file".
static int read_text(const char *path, const char *what, char **ret, struct error *err)
{
    size_t n = 0;
    char *text = x_zalloc(SECRET_BYTES_MAX + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : read_all(fd, text, SECRET_BYTES_MAX, &n);
    if (fd >= 0) {
        close(fd);
    }
    if (r == 0 && (n == 0 || n == SECRET_BYTES_MAX)) {
        r = -EINVAL;
    }
    if (r == 0) {
        *ret = x_strndup(text, n);
    } else {
        error_set(err, r, "cannot read the %s '%s': %s", what, path,
                  r == -EINVAL ? "it is empty, or too large" : error_name(r));
    }
    explicit_bzero(text, n);
    free(text);
    return r;
}

static int read_token(const char *path, char **ret, struct error *err)
{
    char *text = NULL;
    int r = read_text(path, "token file", &text, err);
    if (r < 0) {
        return r;
    }
    struct str line, rest = str_of(text);
    (void)str_split(&rest, '\n', &line);
    line = str_trim(line);
    if (line.n > 0) {
        *ret = x_strndup(line.p, line.n);
    } else {
        r = error_set(err, -EINVAL, "the first line of the token file '%s' is empty", path);
    }
    free_secret(text);
    return r;
}

// That the certificate can be read, and is the key's: a daemon started with another would turn
// every connection away.
static int certificate_check(const char *cert, const char *key, struct error *err)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t c = {(unsigned char *)(uintptr_t)cert, (unsigned)strlen(cert)};
    gnutls_datum_t k = {(unsigned char *)(uintptr_t)key, (unsigned)strlen(key)};
    int r = gnutls_certificate_allocate_credentials(&credentials);
    if (r == GNUTLS_E_SUCCESS) {
        r = gnutls_certificate_set_x509_key_mem(credentials, &c, &k, GNUTLS_X509_FMT_PEM);
        gnutls_certificate_free_credentials(credentials);
    }
    return r < 0 ? error_set(err, -EINVAL, "the certificate and key do not serve: %s",
                             gnutls_strerror(r))
                 : 0;
}

int secrets_read(const struct http_config *c, struct http_secrets *ret, struct error *err)
{
    *ret = (struct http_secrets){0};
    if ((c->cert_file == NULL) != (c->key_file == NULL)) {
        return error_set(err, -EINVAL, "TLS needs both a certificate and its key");
    }
    int r = c->token_file ? read_token(c->token_file, &ret->token, err) : 0;
    if (r == 0 && c->cert_file) {
        r = read_text(c->cert_file, "certificate", &ret->cert, err);
        r = r < 0 ? r : read_text(c->key_file, "key", &ret->key, err);
        r = r < 0 ? r : certificate_check(ret->cert, ret->key, err);
    }
    if (r < 0) {
        secrets_done(ret);
    }
    return r;
}

void secrets_done(struct http_secrets *s)
{
    free_secret(s->token);
    free_secret(s->key);
    free(s->cert);
    *s = (struct http_secrets){0};
}
