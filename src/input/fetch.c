#include "input/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "input/curl_lib.h"

enum {
    PAGE_KEPT = 1 << 20, // a buffer larger than this is not kept for the next page
    READ_SIZE = 1 << 16, // bytes at a time: most pages come in one piece
};

struct curl_fetch {
    const struct fetch_config *config;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct buf auth;  // the header line, with its secret
    struct buf *page; // of the fetch that is going on
    char *target;     // where a redirect led, else NULL: config->url
    int redirects;    // followed in this fetch
    bool going, over, chunked;
    char why[CURL_ERROR_SIZE];
};

// ---- the URL --------------------------------------------------------------------------------

static int bad_url(const struct uri *uri, const char *what, struct error *err)
{
    return error_set(err, -EINVAL, "'" STR_FMT ":...': %s: expected " STR_FMT "://HOST:PORT/PATH",
                     STR_ARG(uri->scheme), what, STR_ARG(uri->scheme));
}

static char *url_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(u, part, &text, 0) == CURLUE_OK ? text : NULL;
}

static bool has_part(CURLU *u, CURLUPart part)
{
    char *text = url_part(u, part);
    bool there = text != NULL;
    curl_free(text);
    return there;
}

static bool has_path(CURLU *u)
{
    char *text = url_part(u, CURLUPART_PATH);
    bool there = text && strcmp(text, "/") != 0;
    curl_free(text);
    return there;
}

static bool add_model(CURLU *u, struct str model)
{
    AUTO_FREE char *query = x_asprintf("model=" STR_FMT, STR_ARG(model));
    unsigned flags = CURLU_APPENDQUERY | CURLU_URLENCODE;
    return !str_present(model) || curl_url_set(u, CURLUPART_QUERY, query, flags) == CURLUE_OK;
}

static int build_url(CURLU *u, const struct uri *uri, const char *path, struct str model,
                     struct error *err)
{
    const char *plus = memchr(uri->scheme.p, '+', uri->scheme.n);
    AUTO_FREE char *text =
        x_asprintf("%s:" STR_FMT, plus ? plus + 1 : uri->scheme.p, STR_ARG(uri->path));
    bool three = str_starts(uri->path, STR("///")); // libcurl would take a folder for the host
    if (!str_starts(uri->path, STR("//")) || three ||
        curl_url_set(u, CURLUPART_URL, text, 0) != CURLUE_OK) {
        return bad_url(uri, "not an address", err);
    }
    if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD)) {
        return bad_url(uri,
                       "a user or password in the address, where everybody sees it; put the "
                       "Authorization header's value in a file and give auth=FILE",
                       err);
    }
    bool set = has_path(u) || curl_url_set(u, CURLUPART_PATH, path, 0) == CURLUE_OK;
    return set && add_model(u, model) ? 0 : bad_url(uri, "not an address", err);
}

int fetch_url(const struct uri *uri, const char *path, struct str model, struct arena *a,
              const char **ret, struct error *err)
{
    int r = curl_lib_load(err);
    if (r < 0) {
        return r;
    }
    CURLU *u = curl_url();
    if (u == NULL) {
        return error_set(err, -ENOMEM, "no memory for an address");
    }
    r = build_url(u, uri, path, model, err);
    if (r == 0) {
        char *text = url_part(u, CURLUPART_URL);
        *ret = arena_copy(a, str_of(text)).p;
        curl_free(text);
        r = *ret ? 0 : bad_url(uri, "not an address", err);
    }
    curl_url_cleanup(u);
    return r;
}

// ---- the Authorization header ---------------------------------------------------------------

static int read_all(const char *path, char *room, size_t size, size_t *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    ssize_t n = 0;
    *ret = 0;
    while (*ret < size && (n = read(fd, room + *ret, size - *ret)) > 0) {
        *ret += (size_t)n;
    }
    int r = n < 0 ? -errno : 0;
    close(fd);
    return r;
}

static bool is_header_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < ' ' || c == 127) {
            return false;
        }
    }
    return s.n > 0;
}

int fetch_read_auth(const char *path, struct buf *ret, struct error *err)
{
    char room[FETCH_AUTH_MAX + 1];
    size_t n = 0;
    buf_clear(ret);
    int r = read_all(path, room, sizeof(room), &n);
    if (r < 0) {
        return error_set(err, r, "auth=%s: %s", path, error_name(r));
    }
    struct str text = str_trim((struct str){room, n});
    bool fits = n <= FETCH_AUTH_MAX && is_header_text(text);
    if (fits) {
        bool token = memchr(text.p, ' ', text.n) == NULL;
        buf_printf(ret, "Authorization: %s" STR_FMT, token ? "Bearer " : "", STR_ARG(text));
    }
    explicit_bzero(room, sizeof(room));
    return fits ? 0 : error_set(err, -EINVAL, "auth=%s: must hold one line of text", path);
}

// ---- a fetch --------------------------------------------------------------------------------

static size_t take_bytes(char *p, size_t one, size_t n, void *ctx)
{
    struct curl_fetch *f = ctx;
    (void)one; // always 1
    buf_add(f->page, p, n);
    f->over = !buf_ok(f->page);
    return f->over ? 0 : n;
}

static size_t take_header(char *p, size_t one, size_t n, void *ctx)
{
    struct curl_fetch *f = ctx;
    static const char name[] = "transfer-encoding:";
    (void)one;
    f->chunked = f->chunked || (n >= sizeof(name) && strncasecmp(p, name, sizeof(name) - 1) == 0);
    return n;
}

static long to_ms(int64_t ns)
{
    return (long)MAX(ns / NS_PER_MS, INT64_C(1));
}

static void set_up(struct curl_fetch *f)
{
    const struct fetch_config *c = f->config;
    curl_easy_setopt(f->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(f->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(f->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(f->easy, CURLOPT_BUFFERSIZE, (long)READ_SIZE);
    curl_easy_setopt(f->easy, CURLOPT_QUICK_EXIT, 1L); // a name server may be slower than a stop
    curl_easy_setopt(f->easy, CURLOPT_PROXY, "");      // a proxy's word is not the server's
    curl_easy_setopt(f->easy, CURLOPT_NOPROXY, "");    // or it looks into the environment each time
    curl_easy_setopt(f->easy, CURLOPT_USERAGENT, "gtap");
    curl_easy_setopt(f->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(f->easy, CURLOPT_TIMEOUT_MS, to_ms(c->timeout_ns));
    curl_easy_setopt(f->easy, CURLOPT_CONNECTTIMEOUT_MS, to_ms(c->timeout_ns / 2));
    curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, f->why);
    curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(f->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(f->easy, CURLOPT_HEADERDATA, f);
    if (c->ca_file) {
        curl_easy_setopt(f->easy, CURLOPT_CAINFO, c->ca_file);
    }
}

static void curl_fetch_close(void *fetch)
{
    struct curl_fetch *f = fetch;
    if (f->going) {
        curl_multi_remove_handle(f->multi, f->easy);
    }
    curl_easy_cleanup(f->easy);
    curl_multi_cleanup(f->multi);
    curl_slist_free_all(f->headers);
    if (f->auth.p) {
        explicit_bzero(f->auth.p, f->auth.n);
    }
    buf_done(&f->auth);
    free(f->target);
    free(f);
    curl_global_cleanup();
}

static int curl_fetch_open(const struct fetch_config *c, void **ret, struct error *err)
{
    int r = curl_lib_load(err);
    if (r < 0) {
        return r;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return error_set(err, -ENOMEM, "libcurl does not start");
    }
    struct curl_fetch *f = x_zalloc(sizeof(*f));
    f->config = c;
    buf_init(&f->auth, FETCH_AUTH_MAX + 64);
    f->multi = curl_multi_init();
    f->easy = curl_easy_init();
    if (f->multi == NULL || f->easy == NULL) {
        curl_fetch_close(f);
        return error_set(err, -ENOMEM, "libcurl does not start");
    }
    set_up(f);
    *ret = f;
    return 0;
}

static int set_headers(struct curl_fetch *f, struct error *err)
{
    curl_slist_free_all(f->headers);
    f->headers = curl_slist_append(NULL, "Accept: text/plain;version=0.0.4, */*;q=0.5");
    if (f->config->auth_file) {
        int r = fetch_read_auth(f->config->auth_file, &f->auth, err);
        if (r < 0) {
            return r;
        }
        f->headers = curl_slist_append(f->headers, f->auth.p);
    }
    curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers);
    return 0;
}

static const char *address(const struct curl_fetch *f)
{
    return f->target ? f->target : f->config->url;
}

static int start(struct curl_fetch *f, struct buf *page, struct error *err)
{
    int r = set_headers(f, err);
    if (r < 0) {
        return r;
    }
    if (page->cap > PAGE_KEPT) {
        buf_done(page);
        buf_init(page, FETCH_PAGE_MAX);
    }
    buf_clear(page);
    f->page = page;
    f->over = f->chunked = false;
    f->why[0] = '\0';
    curl_easy_setopt(f->easy, CURLOPT_URL, address(f));
    if (curl_multi_add_handle(f->multi, f->easy) != CURLM_OK) {
        return error_set(err, -ENOMEM, "%s: libcurl takes no more", address(f));
    }
    f->going = true;
    return 0;
}

static int failed(const struct curl_fetch *f, CURLcode code, struct error *err)
{
    if (f->over) {
        return error_set(err, -EMSGSIZE, "%s: the page is larger than %d MiB", address(f),
                         FETCH_PAGE_MAX >> 20);
    }
    int r = code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO;
    return error_set(err, r, "%s: %s", address(f), f->why[0] ? f->why : curl_easy_strerror(code));
}

// Whether both URLs have the same scheme, host and port.
static bool same_host(const char *a, const char *b)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    CURLU *u = curl_url(), *v = curl_url();
    bool same = u && v && curl_url_set(u, CURLUPART_URL, a, 0) == CURLUE_OK &&
                curl_url_set(v, CURLUPART_URL, b, 0) == CURLUE_OK;
    for (size_t i = 0; same && i < ARRAY_LEN(parts); i++) {
        char *p = NULL, *q = NULL;
        same = curl_url_get(u, parts[i], &p, CURLU_DEFAULT_PORT) == CURLUE_OK &&
               curl_url_get(v, parts[i], &q, CURLU_DEFAULT_PORT) == CURLUE_OK &&
               strcasecmp(p, q) == 0;
        curl_free(p);
        curl_free(q);
    }
    curl_url_cleanup(u);
    curl_url_cleanup(v);
    return same;
}

// LiteLLM sends /metrics to /metrics/. Another host gets neither our request nor our secret.
static int redirect(struct curl_fetch *f, struct error *err)
{
    char *to = NULL;
    curl_easy_getinfo(f->easy, CURLINFO_REDIRECT_URL, &to);
    if (to == NULL || !same_host(f->config->url, to)) {
        return error_set(err, -EXDEV,
                         "%s: leads to another address, %s: give that one if it is "
                         "meant",
                         address(f), to ? to : "which it does not name");
    }
    if (f->redirects++ == FETCH_REDIRECTS_MAX) {
        return error_set(err, -ELOOP, "%s: leads from one address to the next", f->config->url);
    }
    char *target = x_strdup(to);
    free(f->target);
    f->target = target;
    int r = start(f, f->page, err);
    return r < 0 ? r : FETCH_GOING;
}

static int refused(const struct curl_fetch *f, long status, struct error *err)
{
    bool auth = status == 401 || status == 403;
    const char *hint = !auth                  ? ""
                       : f->config->auth_file ? ": it does not accept what auth= holds"
                                              : ": it wants credentials, give auth=FILE";
    return error_set(err, auth ? -EACCES : -EIO, "%s: answers %ld%s", address(f), status, hint);
}

// What transfer lengths do not tell.
static int check_whole(struct curl_fetch *f, struct error *err)
{
    char *type = NULL;
    curl_off_t length = -1;
    struct str text = buf_view(f->page);
    curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(f->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    bool open_metrics = type && strncasecmp(type, "application/openmetrics-text", 28) == 0;
    if (open_metrics && !str_ends(str_trim(text), STR("# EOF"))) {
        return error_set(err, -EIO, "%s: the page ends before its end", address(f));
    }
    while (length < 0 && !f->chunked && f->page->n > 0 && f->page->p[f->page->n - 1] != '\n') {
        f->page->n--;
    }
    return FETCH_DONE;
}

static int finish(struct curl_fetch *f, CURLcode code, struct error *err)
{
    long status = 0;
    curl_multi_remove_handle(f->multi, f->easy);
    f->going = false;
    if (code != CURLE_OK) {
        return failed(f, code, err);
    }
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300 && status < 400) {
        return redirect(f, err);
    }
    bool fine = status == 200 || (f->config->any_success && status / 100 == 2);
    return fine ? check_whole(f, err) : refused(f, status, err);
}

// FETCH_GOING, or what came of it.
static int advance(struct curl_fetch *f, struct error *err)
{
    int running, left;
    if (curl_multi_perform(f->multi, &running) != CURLM_OK) {
        return finish(f, CURLE_FAILED_INIT, err);
    }
    const CURLMsg *m = curl_multi_info_read(f->multi, &left);
    return m && m->msg == CURLMSG_DONE ? finish(f, m->data.result, err) : FETCH_GOING;
}

static int curl_fetch_run(void *fetch, const struct input_env *env, int64_t ns, struct buf *page,
                          struct error *err)
{
    struct curl_fetch *f = fetch;
    // The network's time is real, whatever the clock of the records.
    int64_t until = clock_mono(&clock_system).ns + ns, left = ns;
    int r = 0;
    if (!f->going) {
        free(f->target);
        f->target = NULL;
        f->redirects = 0;
        r = start(f, page, err);
    }
    r = r < 0 ? r : advance(f, err);
    while (r == FETCH_GOING && left > 0) {
        struct curl_waitfd stop = {.fd = env->stop_fd, .events = CURL_WAIT_POLLIN};
        curl_multi_poll(f->multi, &stop, env->stop_fd >= 0, (int)to_ms(left), NULL);
        r = advance(f, err);
        left = stop.revents ? 0 : until - clock_mono(&clock_system).ns;
    }
    return r;
}

const struct fetch_ops fetch_curl = {
    .open = curl_fetch_open,
    .run = curl_fetch_run,
    .close = curl_fetch_close,
};
