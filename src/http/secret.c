#include <errno.h>
#include <fcntl.h>
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

// ---- the certificate -----------------------------------------------------------------------

// Nothing needs the PEM of the key after this: GnuTLS has copied what it wants of both.
static int certificate_new(const char *cert, const char *key, struct http_certificate **ret,
                           struct error *err)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t c = {(unsigned char *)(uintptr_t)cert, (unsigned)strlen(cert)};
    gnutls_datum_t k = {(unsigned char *)(uintptr_t)key, (unsigned)strlen(key)};
    int r = gnutls_certificate_allocate_credentials(&credentials);
    bool allocated = r == GNUTLS_E_SUCCESS;
    r = r < 0 ? r : gnutls_certificate_set_x509_key_mem(credentials, &c, &k, GNUTLS_X509_FMT_PEM);
    if (r < 0) {
        if (allocated) {
            gnutls_certificate_free_credentials(credentials);
        }
        return error_set(err, -EINVAL, "the certificate and key do not serve: %s",
                         gnutls_strerror(r));
    }
    *ret = x_alloc(sizeof(**ret));
    **ret = (struct http_certificate){.credentials = credentials, .pem = x_strdup(cert)};
    atomic_init(&(*ret)->users, 1);
    return 0;
}

struct http_certificate *certificate_share(struct http_certificate *c)
{
    if (c) {
        atomic_fetch_add(&c->users, 1);
    }
    return c;
}

void certificate_drop(struct http_certificate *c)
{
    if (!c || atomic_fetch_sub(&c->users, 1) > 1) {
        return;
    }
    gnutls_certificate_free_credentials(c->credentials);
    free(c->pem);
    free(c);
}

static int read_certificate(const struct http_config *c, struct http_certificate **ret,
                            struct error *err)
{
    char *cert = NULL, *key = NULL;
    int r = read_text(c->cert_file, "certificate", &cert, err);
    r = r < 0 ? r : read_text(c->key_file, "key", &key, err);
    r = r < 0 ? r : certificate_new(cert, key, ret, err);
    free_secret(key);
    free(cert);
    return r;
}

int secrets_read(const struct http_config *c, struct http_secrets *ret, struct error *err)
{
    *ret = (struct http_secrets){0};
    if ((c->cert_file == NULL) != (c->key_file == NULL)) {
        return error_set(err, -EINVAL, "TLS needs both a certificate and its key");
    }
    int r = c->token_file ? read_token(c->token_file, &ret->token, err) : 0;
    if (r == 0 && c->cert_file) {
        r = read_certificate(c, &ret->certificate, err);
    }
    if (r < 0) {
        secrets_done(ret);
    }
    return r;
}

void secrets_done(struct http_secrets *s)
{
    free_secret(s->token);
    certificate_drop(s->certificate);
    *s = (struct http_secrets){0};
}
