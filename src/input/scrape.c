#include "input/scrape.h"

#include <errno.h>

#include "base/hash.h"
#include "base/uuid.h"
#include "input/exposition.h"
#include "input/wait.h"
#include "model/encode.h"
#include "model/validate.h"

#define TIMEOUT_MIN (100 * NS_PER_MS)
#define TIMEOUT_MAX (300 * NS_PER_S)
#define BACKOFF_MIN NS_PER_S
#define BACKOFF_MAX (24 * NS_PER_S)

static int read_duration(const struct uri *uri, const char *name, int64_t min, int64_t max,
                         const char *range, int64_t *ret, struct error *err)
{
    int r = uri_option_duration(uri, name, ret, err);
    if (r == 0 && (*ret < min || *ret > max)) {
        return error_set(err, -EINVAL, "option %s= must be from %s", name, range);
    }
    return r;
}

int scrape_open(struct scrape *s, const struct input *in, const char *url, struct error *err)
{
    const struct input_env *env = in->env;
    *s = (struct scrape){
        .env = env,
        .ops = env->fetch ? env->fetch : &fetch_curl,
        .every = NS_PER_S,
        .config = {.url = url,
                   .auth_file = uri_option(in->uri, "auth").p,
                   .ca_file = uri_option(in->uri, "cacert").p,
                   .timeout_ns = FETCH_TIMEOUT_DEFAULT},
    };
    buf_init(&s->page, FETCH_PAGE_MAX);
    random_init(&s->random, hash_str(in->uri->text, (uint64_t)env->now_start));
    int r = read_duration(in->uri, "every", SCRAPE_EVERY_MIN, SCRAPE_EVERY_MAX, "100ms to 60s",
                          &s->every, err);
    r = r < 0 ? r
              : read_duration(in->uri, "timeout", TIMEOUT_MIN, TIMEOUT_MAX, "100ms to 5m",
                              &s->config.timeout_ns, err);
    return r < 0 ? r : s->ops->open(&s->config, &s->fetch, err);
}

void scrape_done(struct scrape *s)
{
    if (s->fetch) {
        s->ops->close(s->fetch);
        s->fetch = NULL;
    }
    buf_done(&s->page);
}

static int64_t back_off(struct scrape *s)
{
    int64_t delay = BACKOFF_MIN;
    for (uint32_t i = 1; i < s->failures && delay < BACKOFF_MAX; i++) {
        delay = MIN(delay * 2, BACKOFF_MAX);
    }
    return delay + (int64_t)random_below(&s->random, (uint64_t)delay / 4);
}

void scrape_took(struct scrape *s, struct input *in, const struct error *failed,
                 const struct error *complaint)
{
    struct mono now = clock_mono(s->env->clock);
    input_report(in, failed ? failed : complaint);
    if (failed) {
        s->failures++;
        s->due.ns = now.ns + back_off(s);
        return;
    }
    s->failures = 0;
    s->due.ns = s->beat.ns + time_floor(now.ns - s->beat.ns, s->every) + s->every;
}

// Waits until the next fetch is due; false: not yet.
static bool is_due(struct scrape *s)
{
    struct mono now = clock_mono(s->env->clock);
    if (!s->started) {
        s->started = true;
        s->due = s->beat = now;
    }
    if (now.ns < s->due.ns) {
        input_wait(s->env, -1, s->due.ns - now.ns);
        return false;
    }
    return true;
}

int scrape_next(struct scrape *s, struct input *in, struct mono *ret_at, int64_t *ret_wall)
{
    struct error err;
    if (!s->going && !is_due(s)) {
        return SCRAPE_NONE;
    }
    int r = s->ops->run(s->fetch, s->env, INPUT_WAIT_NS, &s->page, &err);
    s->going = r == FETCH_GOING;
    if (r < 0) {
        scrape_took(s, in, &err, NULL);
    }
    if (r != FETCH_DONE) {
        return SCRAPE_NONE;
    }
    *ret_at = clock_mono(s->env->clock);
    *ret_wall = clock_wall(s->env->clock);
    s->page.n = exposition_unquote(s->page.p, s->page.n);
    return SCRAPE_PAGE;
}

static void refuse(struct input *in, struct batch *b, int64_t wall, const struct error *why)
{
    const struct record *r = &b->records[b->n_records - 1];
    struct buf text;
    buf_init(&text, RECORD_BYTES_MAX);
    record_encode(&text, r);
    *batch_add_dead(b) = (struct dead_letter){
        .at = wall,
        .origin = str_of(in->info.name),
        .position = r->position,
        .reason = arena_copy(&b->arena, str_of(why->msg)),
        .payload = arena_copy(&b->arena, buf_view(&text)),
    };
    b->n_records--;
    buf_done(&text);
}

void scrape_deliver(struct input *in, struct batch *b, struct uuid7 *ids, int64_t wall,
                    int64_t *position)
{
    struct record *r = &b->records[b->n_records - 1];
    char id[UUID_TEXT];
    struct error why;
    uuid7_next(ids, wall, id);
    r->event_id = arena_copy(&b->arena, (struct str){id, UUID_TEXT});
    r->position = ++*position;
    r->digest = record_digest(r);
    if (record_check(r, &why) < 0) {
        refuse(in, b, wall, &why);
    }
}
