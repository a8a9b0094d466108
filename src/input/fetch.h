// Fetches a page by HTTP GET, over and over, without ever holding up the run: for sources that are
// scraped (input/scrape.h). A small ops struct, so that tests hand in pages; the one of the product
// is over libcurl (https://curl.se/libcurl/).
//
// What counts as a failure: no answer in time, another status than 200, a page over the limit, a
// page that ends early (less than Content-Length, a chunk missing, OpenMetrics without `# EOF`), a
// redirect to another host, a certificate that does not check. Where nothing says how long the page
// is, a last line without its newline is cut off: it may be half a number.
#pragma once

#include "base/buf.h"
#include "base/uri.h"
#include "input/input.h"

#define FETCH_TIMEOUT_DEFAULT (10 * NS_PER_S)
enum { FETCH_PAGE_MAX = 16 << 20, FETCH_AUTH_MAX = 8192, FETCH_REDIRECTS_MAX = 3 };

struct fetch_config {
    const char *url;
    const char *auth_file; // NULL: none. Read before each fetch, so a changed file counts at once
    const char *ca_file;   // PEM of the authorities to trust; NULL: the system's
    int64_t timeout_ns;    // for the whole fetch; connecting has at most half of it
    bool any_success;      // 2xx is fine; else 200 alone
};

enum fetch_result { FETCH_GOING = 0, FETCH_DONE = 1 };

struct fetch_ops {
    // Checks the configuration; contacts nobody. The texts are borrowed and outlive the fetcher.
    int (*open)(const struct fetch_config *c, void **ret, struct error *err);
    // Begins a fetch when none is going on, and goes on with it for at most `ns`, less when
    // env->stop_fd becomes readable. FETCH_DONE: *page holds it (it may be written to, and is
    // emptied by the next fetch). FETCH_GOING: call again. A negative errno with a message: failed.
    int (*run)(void *fetch, const struct input_env *env, int64_t ns, struct buf *page,
               struct error *err);
    void (*close)(void *fetch); // also in the middle of a fetch
};

extern const struct fetch_ops fetch_curl;

// The URL of "KIND+http://HOST/PATH": the scheme behind the '+', the path or, where there is none,
// `path`; with "model=MODEL" as a query where model is present. -EINVAL with a message: no host, or
// a user and password, which belong in a file. In the arena.
int fetch_url(const struct uri *uri, const char *path, struct str model, struct arena *a,
              const char **ret, struct error *err) GTAP_CHECK;

// What the file holds as a header line, "Authorization: Bearer x": its text is the whole value of
// the header, or a bare token (one word). For tests; into `ret`, which is emptied first.
int fetch_read_auth(const char *path, struct buf *ret, struct error *err) GTAP_CHECK;
