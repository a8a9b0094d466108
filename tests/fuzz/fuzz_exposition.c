// Pages of metrics: what is given lies within the page and is what it says.
#include "fuzz.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "input/exposition.h"

static bool inside(struct str part, struct str whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static uint64_t walk(struct str page, const struct exposition_names *wanted)
{
    struct exposition e;
    AUTO_FREE char *room = x_alloc(page.n + 1);
    uint64_t n = 0;
    exposition_init(&e, page, wanted);
    for (struct exposition_sample s; exposition_next(&e, &s); n++) {
        assert(inside(s.name, page) && s.name.n > 0);
        assert(inside(s.labels, page) && inside(s.number, page) && s.number.n > 0);
        size_t labels = 0;
        for (struct exposition_label l; exposition_label(&s.labels, &l); labels++) {
            assert(inside(l.name, page) && l.name.n > 0 && inside(l.value, page));
            assert(exposition_value(&l, room).n <= l.value.n);
        }
        assert(labels <= EXPOSITION_LABELS_MAX && s.labels.n == 0);
    }
    assert(e.samples >= n && e.bad <= page.n);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str page = {(const char *)data, size};
    struct exposition_names wanted = {0};
    assert(exposition_want(&wanted, "a", 1) == 0);
    assert(exposition_want(&wanted, "vllm:prompt_tokens_total", 2) == 0);
    assert(walk(page, &wanted) <= walk(page, NULL));
    AUTO_FREE char *copy = x_alloc(size + 1);
    memcpy(copy, data, size);
    size_t n = exposition_unquote(copy, size);
    assert(n <= size);
    walk((struct str){copy, n}, NULL);
    return 0;
}
