#include "input/placement.h"

#include <errno.h>
#include <unistd.h>

#include "base/decimal.h"

enum { HOST_NAME_BYTES = 256 };

static struct str text_option(const struct uri *uri, const char *name)
{
    struct str value = uri_option(uri, name);
    return value.n > 0 ? value : STR_NONE;
}

struct str placement_host(const struct uri *uri, const struct input_env *env, struct arena *a)
{
    struct str host = text_option(uri, "host");
    const char *own = env->getenv ? env->getenv("HOSTNAME") : NULL;
    if (str_present(host)) {
        return host;
    }
    if (own && *own) {
        return str_of(own);
    }
    char name[HOST_NAME_BYTES] = "";
    if (gethostname(name, sizeof(name) - 1) < 0 || name[0] == '\0') {
        return STR("localhost");
    }
    return arena_copy(a, str_of(name));
}

// A GPU's index: digits and nothing else.
static int read_index(struct str text, int64_t *ret)
{
    struct str digits = str_trim(text);
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9') {
            return -EINVAL;
        }
    }
    return decimal_parse(digits, 0, ret);
}

// "3" or "0-3": adds to the list, which must stay ascending.
static int add_range(struct str item, int32_t *gpus, uint32_t *n)
{
    struct str first, last = str_trim(item);
    int64_t from, to;
    bool range = str_split(&last, '-', &first) && str_present(last);
    if (read_index(first, &from) < 0 || read_index(range ? last : first, &to) < 0) {
        return -EINVAL;
    }
    bool ascending = *n == 0 || from > gpus[*n - 1];
    if (to < from || to > RECORD_GPU_INDEX_MAX || !ascending ||
        to - from >= RECORD_GPUS_MAX - (int64_t)*n) {
        return -EINVAL;
    }
    for (int64_t gpu = from; gpu <= to; gpu++) {
        gpus[(*n)++] = (int32_t)gpu;
    }
    return 0;
}

int gpu_list_read(struct str text, int32_t *ret, uint32_t *ret_n)
{
    struct str item;
    *ret_n = 0;
    while (str_split(&text, ',', &item)) {
        if (add_range(item, ret, ret_n) < 0) {
            return -EINVAL;
        }
    }
    return 0;
}

static int read_gpus(const struct uri *uri, struct placement *p, struct error *err)
{
    if (gpu_list_read(text_option(uri, "gpus"), p->gpus, &p->n_gpus) < 0) {
        return error_set(err, -EINVAL,
                         "option gpus= must be GPU indices in ascending order, such as 0-3 or "
                         "0,2,5, at most %d",
                         RECORD_GPUS_MAX);
    }
    return 0;
}

static int read_instance(const struct uri *uri, struct placement *p, struct error *err)
{
    int64_t instance = GPU_INSTANCE_NONE;
    int r = uri_option_i64(uri, "instance", 0, RECORD_GPU_INSTANCE_MAX, &instance, err);
    if (r == 0 && instance != GPU_INSTANCE_NONE && p->n_gpus != 1) {
        return error_set(err, -EINVAL,
                         "option instance= is a slice of one GPU: gpus= must name that one");
    }
    p->instance = (int32_t)instance;
    return r;
}

int placement_read(const struct uri *uri, const struct input_env *env, struct arena *a,
                   struct placement *ret, struct error *err)
{
    *ret = (struct placement){
        .host = placement_host(uri, env, a),
        .tenant = text_option(uri, "tenant"),
        .site = text_option(uri, "site"),
        .model = text_option(uri, "model"),
    };
    const struct str texts[] = {ret->host, ret->tenant, ret->site, ret->model};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].n > RECORD_TEXT_MAX) {
            return error_set(err, -EINVAL, "a name of more than %d bytes in '" STR_FMT "'",
                             RECORD_TEXT_MAX, STR_ARG(uri->text));
        }
    }
    int r = read_gpus(uri, ret, err);
    return r < 0 ? r : read_instance(uri, ret, err);
}

static void place(const struct placement *p, struct usage_record *u, struct arena *a)
{
    if (p->n_gpus == 0 || u->n_gpus > 0 || (str_present(u->host) && !str_eq(u->host, p->host))) {
        return;
    }
    int32_t *gpus = arena_alloc(a, p->n_gpus * sizeof(gpus[0]));
    memcpy(gpus, p->gpus, p->n_gpus * sizeof(gpus[0]));
    u->gpus = gpus;
    u->n_gpus = p->n_gpus;
    u->gpu_instance = p->instance;
    u->host = arena_copy(a, p->host);
}

void placement_apply(const struct placement *p, struct record *r, struct arena *a)
{
    struct str *site = r->kind == RECORD_SAMPLE ? &r->sample.site : &r->usage.site;
    if (!str_present(*site)) {
        *site = arena_copy(a, p->site);
    }
    if (r->kind == RECORD_USAGE) {
        place(p, &r->usage, a);
        if (!str_present(r->usage.tenant)) {
            r->usage.tenant = arena_copy(a, p->tenant);
        }
    }
    r->digest = record_digest(r);
}
