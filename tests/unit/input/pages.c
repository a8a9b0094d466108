#include "pages.h"

#include <errno.h>

enum { CALLS_MAX = 100000 };

// Fetchers have no context of the environment's; tests are single-threaded.
static struct pages *current;

static int fake_open(const struct fetch_config *c, void **ret, struct error *err)
{
    (void)err;
    assert_false(current->open);
    current->open = true;
    current->config = *c;
    *ret = current;
    return 0;
}

static int fake_run(void *fetch, const struct input_env *env, int64_t ns, struct buf *page,
                    struct error *err)
{
    struct pages *p = fetch;
    assert_true(ns > 0 && p->open);
    if (!p->going) {
        p->going = true;
        p->went = 0;
        p->asked++;
        p->asked_at = clock_mono(env->clock).ns;
    }
    struct page_answer made = {.fails = "there is no page"};
    const struct page_answer *a = p->make ? &made : &p->answers[p->at];
    if (p->went++ < a->going) {
        return FETCH_GOING;
    }
    p->going = false;
    harness_advance(p->h, a->takes);
    if (p->make) {
        made.page = p->make(p->ctx);
    } else {
        p->at = MIN(p->at + 1, p->n - 1);
    }
    if (a->page == NULL) {
        return error_set(err, -EIO, "%s", a->fails);
    }
    buf_clear(page);
    buf_cstr(page, a->page);
    return FETCH_DONE;
}

static void fake_close(void *fetch)
{
    struct pages *p = fetch;
    assert_true(p->open);
    p->open = false;
}

static const struct fetch_ops fake = {.open = fake_open, .run = fake_run, .close = fake_close};

void pages_install(struct pages *p, struct harness *h)
{
    *p = (struct pages){.h = h};
    h->env.fetch = &fake;
    current = p;
}

void pages_answer(struct pages *p, const struct page_answer *answers, size_t n)
{
    p->answers = answers;
    p->n = n;
    p->at = 0;
}

void pages_run(struct pages *p, struct input *in, int64_t step, struct buf *out)
{
    struct batch b;
    struct error err;
    batch_init(&b);
    int asked = p->asked;
    for (int i = 0; i < CALLS_MAX && (p->asked == asked || p->going); i++) {
        batch_clear(&b);
        assert_int_equal(input_next(in, &b, &err), INPUT_MORE);
        assert_i64(b.offset, -1);
        harness_note(out, &b);
        if (p->asked == asked) {
            harness_advance(p->h, step);
        }
    }
    assert_true(p->asked > asked);
    batch_done(&b);
}
