#include "input/fleet.h"

#include <errno.h>

#include "base/time.h"
#include "model/record.h"

enum { GPUS_MAX = 4096, GPUS_A_HOST = 8, HOST_DIGITS_MAX = 10 };
#define EVERY_MIN (10 * NS_PER_MS)
#define EVERY_MAX (30 * NS_PER_S) // the engine's max_gap: further apart covers nothing

static int read_gpu(const struct uri *uri, struct fleet *f, struct error *err)
{
    struct str key = uri_option(uri, "gpu");
    f->gpu = str_present(key) ? gpu_class_find(key) : gpu_class_default;
    if (f->gpu == NULL) {
        return error_set(err, -EINVAL, "no GPU class is called '" STR_FMT "'; there are: %s",
                         STR_ARG(key), gpu_class_list());
    }
    return 0;
}

static int read_every(const struct uri *uri, struct fleet *f, struct error *err)
{
    f->every = NS_PER_S;
    int r = uri_option_duration(uri, "every", &f->every, err);
    if (r == 0 && (f->every < EVERY_MIN || f->every > EVERY_MAX)) {
        return error_set(err, -EINVAL, "option every= must be from 10ms to 30s");
    }
    return r;
}

int fleet_read(const struct uri *uri, struct fleet *ret, struct error *err)
{
    struct str host = uri_option(uri, "host");
    struct fleet f = {.price_nusd = -1, .host = str_present(host) ? host : STR("gpu")};
    int64_t gpus = GPUS_A_HOST;
    int r = uri_option_i64(uri, "gpus", 1, GPUS_MAX, &gpus, err);
    int64_t hosts = (gpus + GPUS_A_HOST - 1) / GPUS_A_HOST;
    r = r < 0 ? r : uri_option_i64(uri, "hosts", 1, gpus, &hosts, err);
    r = r < 0 ? r : uri_option_money(uri, "price", &f.price_nusd, err);
    r = r < 0 ? r : read_gpu(uri, &f, err);
    r = r < 0 ? r : read_every(uri, &f, err);
    if (r < 0) {
        return r;
    }
    if (f.price_nusd > RECORD_PRICE_MAX) {
        return error_set(err, -EINVAL, "option price= must be at most 1000000");
    }
    if (f.host.n == 0 || f.host.n > FLEET_HOST_MAX) {
        return error_set(err, -EINVAL, "option host= must have 1 to %d bytes", FLEET_HOST_MAX);
    }
    f.n_gpus = (uint32_t)gpus;
    f.n_hosts = (uint32_t)hosts;
    f.per_host = (f.n_gpus + f.n_hosts - 1) / f.n_hosts;
    f.n_hosts = (f.n_gpus + f.per_host - 1) / f.per_host;
    *ret = f;
    return 0;
}

struct str fleet_host(const struct fleet *f, uint32_t gpu, struct arena *a)
{
    uint32_t number = gpu / f->per_host + 1;
    char digits[HOST_DIGITS_MAX];
    size_t n_digits = 0;
    for (uint32_t v = number; v > 0 || n_digits < 2; v /= 10) {
        digits[n_digits++] = (char)('0' + v % 10);
    }
    size_t n = f->host.n + 1 + n_digits;
    char *name = arena_alloc(a, n + 1);
    memcpy(name, f->host.p, f->host.n);
    name[f->host.n] = '-';
    for (size_t i = 0; i < n_digits; i++) {
        name[n - 1 - i] = digits[i];
    }
    name[n] = '\0';
    return (struct str){name, n};
}

bool fleet_take(const struct fleet *f, uint32_t *used, int32_t tp, uint32_t *ret_first)
{
    for (uint32_t host = 0; host < f->n_hosts; host++) {
        uint32_t first = host * f->per_host, n = MIN(f->per_host, f->n_gpus - first);
        if (used[host] + (uint32_t)tp <= n) {
            *ret_first = first + used[host];
            used[host] += (uint32_t)tp;
            return true;
        }
    }
    return false;
}
